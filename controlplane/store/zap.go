package store

import (
	"github.com/hashicorp/go-hclog"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// zapTo makes a zap logger for etcd that writes to ours, one level lower than etcd thinks: its steady state is our Debug.
func zapTo(logger hclog.Logger) *zap.Logger { return zap.New(&zapCore{logger: logger}) }

type zapCore struct {
	logger hclog.Logger
	fields []zapcore.Field
}

func zapLevel(level zapcore.Level) hclog.Level {
	switch {
	case level >= zapcore.ErrorLevel:
		return hclog.Error
	case level >= zapcore.WarnLevel:
		return hclog.Info
	case level >= zapcore.InfoLevel:
		return hclog.Debug
	}
	return hclog.Trace
}

// Enabled follows our level.
func (c *zapCore) Enabled(level zapcore.Level) bool {
	return c.logger.GetLevel() <= zapLevel(level)
}

func (c *zapCore) With(fields []zapcore.Field) zapcore.Core {
	return &zapCore{c.logger, append(c.fields[:len(c.fields):len(c.fields)], fields...)}
}

func (c *zapCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}

func (c *zapCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	all := zapcore.NewMapObjectEncoder()
	for _, f := range append(c.fields[:len(c.fields):len(c.fields)], fields...) {
		f.AddTo(all)
	}
	pairs := make([]any, 0, 2*len(all.Fields))
	for k, v := range all.Fields {
		pairs = append(pairs, k, v)
	}
	c.logger.Log(zapLevel(entry.Level), entry.Message, pairs...)
	return nil
}

func (c *zapCore) Sync() error { return nil }
