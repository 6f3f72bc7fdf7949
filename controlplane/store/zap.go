package store

import (
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// zapCore writes etcd's errors to our log, and its warnings at Debug: they are for who tunes etcd. Below that it says
// nothing: etcd's own debug lines print whole values, environments of sites among them.
type zapCore struct {
	logger hclog.Logger
	fields []zapcore.Field
	// stopping turns errors to Debug: etcd calls it an error that a listener we closed accepts no more.
	stopping *atomic.Bool
}

// zapTo makes a logger for etcd; stopping may be set at any time.
func zapTo(logger hclog.Logger, stopping *atomic.Bool) *zap.Logger {
	return zap.New(&zapCore{logger: logger, stopping: stopping})
}

func (c *zapCore) level(level zapcore.Level) hclog.Level {
	switch {
	case level >= zapcore.ErrorLevel && !c.stopping.Load():
		return hclog.Error
	case level >= zapcore.WarnLevel:
		return hclog.Debug
	}
	return hclog.Off
}

// Enabled says whether a line of etcd's would be written.
func (c *zapCore) Enabled(level zapcore.Level) bool {
	ours := c.level(level)
	return ours != hclog.Off && c.logger.GetLevel() <= ours
}

// With gives a core that adds fields to each line.
func (c *zapCore) With(fields []zapcore.Field) zapcore.Core {
	return &zapCore{c.logger, append(c.fields[:len(c.fields):len(c.fields)], fields...), c.stopping}
}

// Check adds this core to those that write the line.
func (c *zapCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}

// Write writes a line.
func (c *zapCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	all := zapcore.NewMapObjectEncoder()
	for _, f := range append(c.fields[:len(c.fields):len(c.fields)], fields...) {
		f.AddTo(all)
	}
	pairs := make([]any, 0, 2*len(all.Fields))
	for k, v := range all.Fields {
		pairs = append(pairs, k, v)
	}
	c.logger.Log(c.level(entry.Level), entry.Message, pairs...)
	return nil
}

// Sync has nothing to do: our log is not buffered.
func (c *zapCore) Sync() error { return nil }
