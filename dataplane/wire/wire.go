// Package wire turns messages into the site model and back, and makes and reads the documents that travel and are kept.
// It is the only room of the data plane that sees protobuf.
package wire

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"

	"github.com/ancora-fleet/ancora/dataplane/site"
)

// Site gives the model of a message. It does not validate; an enum value that is not known is an error.
func Site(m *typesv1.Site) (*site.Site, error) {
	s := &site.Site{
		Name: m.GetName(), Labels: m.GetLabels(), Revision: m.GetRevision(),
		Placement: site.Placement{Hosts: m.GetPlacement().GetHosts().GetExpression()},
	}
	if t := m.GetCreateTime(); t != nil {
		s.CreateTime = t.AsTime()
	}
	var err error
	if s.AccessLog, err = accessLogs().word("access_log", m.GetAccessLog()); err != nil {
		return nil, err
	}
	for i, b := range m.GetBindings() {
		binding, err := binding(b)
		if err != nil {
			return nil, fmt.Errorf("bindings[%d]: %w", i, err)
		}
		s.Bindings = append(s.Bindings, binding)
	}
	for i, a := range m.GetApplications() {
		application, err := application(a)
		if err != nil {
			return nil, fmt.Errorf("applications[%d]: %w", i, err)
		}
		s.Applications = append(s.Applications, application)
	}
	return s, nil
}

func application(m *typesv1.Application) (site.Application, error) {
	p, f, l := m.GetProcess(), m.GetForward(), m.GetLimits()
	a := site.Application{
		Path: m.GetPath(), Root: m.GetRoot(), User: m.GetUser(), IISEnvironment: m.GetIisEnvironment(), Command: p.GetCommand(),
		StartupTimeLimit: duration(p.GetStartupTimeLimit()), ShutdownTimeLimit: duration(p.GetShutdownTimeLimit()),
		Drain: duration(p.GetDrain()), RequestTimeout: duration(f.GetRequestTimeout()), QueueTimeout: duration(l.GetQueueTimeout()),
		Open: m.GetWebConfig().GetOpen(), Idle: duration(m.GetIdle()), Recycle: recycle(m.GetRecycle()), Warmup: warmup(m.GetWarmup()),
	}
	if l != nil {
		a.BodyLimit, a.Concurrency, a.Queue = l.Body, l.Concurrency, l.Queue
	}
	if p != nil {
		a.RapidFailsPerMinute, a.Overlap, a.Instances = p.RapidFailsPerMinute, p.Overlap, p.Instances
	}
	if f != nil {
		a.DisableStartUpErrorPage = f.DisableStartUpErrorPage
	}
	for _, v := range p.GetEnv() {
		a.Env = append(a.Env, site.Variable{Name: v.GetName(), Value: v.GetValue()})
	}
	var errs [6]error
	a.Profile, errs[0] = profiles().word("profile", m.GetProfile())
	a.Protocol, errs[1] = protocols().word("protocol", f.GetProtocol())
	a.Socket, errs[2] = sockets().word("socket", p.GetSocket())
	a.Start, errs[3] = startModes().word("start", p.GetStart())
	a.Balance, errs[4] = balances().word("balance", f.GetBalance())
	a.Affinity, errs[5] = affinities().word("affinity", f.GetAffinity())
	return a, errors.Join(errs[:]...)
}

// SiteMessage gives the message of a model.
func SiteMessage(s *site.Site) *typesv1.Site {
	m := &typesv1.Site{
		Name: s.Name, Labels: s.Labels, Revision: s.Revision, AccessLog: accessLogs().number(s.AccessLog),
		Placement: &typesv1.Placement{Hosts: &typesv1.Selector{Expression: s.Placement.Hosts}},
	}
	if !s.CreateTime.IsZero() {
		m.CreateTime = timestamppb.New(s.CreateTime)
	}
	for _, b := range s.Bindings {
		m.Bindings = append(m.Bindings, bindingMessage(&b))
	}
	for i := range s.Applications {
		m.Applications = append(m.Applications, applicationMessage(&s.Applications[i]))
	}
	return m
}

func applicationMessage(a *site.Application) *typesv1.Application {
	p := &typesv1.ProcessSpec{
		Command: a.Command, StartupTimeLimit: durationMessage(a.StartupTimeLimit),
		ShutdownTimeLimit: durationMessage(a.ShutdownTimeLimit), RapidFailsPerMinute: a.RapidFailsPerMinute,
		Socket: sockets().number(a.Socket), Start: startModes().number(a.Start), Drain: durationMessage(a.Drain), Overlap: a.Overlap,
		Instances: a.Instances,
	}
	for _, v := range a.Env {
		p.Env = append(p.Env, &typesv1.EnvironmentVariable{Name: v.Name, Value: v.Value})
	}
	m := &typesv1.Application{Path: a.Path, Root: a.Root, User: a.User, IisEnvironment: a.IISEnvironment, Process: p, Profile: profiles().number(a.Profile)}
	m.Idle, m.Recycle, m.Warmup = durationMessage(a.Idle), recycleMessage(a.Recycle), warmupMessage(a.Warmup)
	if a.RequestTimeout != nil || a.DisableStartUpErrorPage != nil || a.Protocol != "" || a.Balance != "" || a.Affinity != "" {
		m.Forward = &typesv1.ForwardSpec{
			RequestTimeout: durationMessage(a.RequestTimeout), DisableStartUpErrorPage: a.DisableStartUpErrorPage, Protocol: protocols().number(a.Protocol),
			Balance: balances().number(a.Balance), Affinity: affinities().number(a.Affinity),
		}
	}
	if a.BodyLimit != nil || a.Concurrency != nil || a.Queue != nil || a.QueueTimeout != nil {
		m.Limits = &typesv1.LimitSpec{Body: a.BodyLimit, Concurrency: a.Concurrency, Queue: a.Queue, QueueTimeout: durationMessage(a.QueueTimeout)}
	}
	if len(a.Open) > 0 {
		m.WebConfig = &typesv1.WebConfigSpec{Open: a.Open}
	}
	return m
}

func duration(d *durationpb.Duration) *time.Duration {
	if d == nil {
		return nil
	}
	v := d.AsDuration()
	return &v
}

func durationMessage(d *time.Duration) *durationpb.Duration {
	if d == nil {
		return nil
	}
	return durationpb.New(*d)
}

// Document gives the bytes of a site that are stored, sent and digested: deterministic, without what only the
// controller's answers carry.
func Document(m *typesv1.Site) (content, digest []byte, err error) {
	m = proto.CloneOf(m)
	m.Revision, m.Etag, m.UpdateTime = 0, "", nil
	return encode(m)
}

// NoticeDocument gives the bytes of a notice that are sent and digested.
func NoticeDocument(m *typesv1.NoticeDocument) (content, digest []byte, err error) { return encode(m) }

func encode(m proto.Message) (content, digest []byte, err error) {
	content, err = proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, nil, err
	}
	return content, Digest(content), nil
}

// Digest is SHA-256.
func Digest(content []byte) []byte {
	sum := sha256.Sum256(content)
	return sum[:]
}

// ParseDocument reads the bytes of a site. A field or an enum value that is not known, at any depth, is an error: what
// this version would drop could be a protection.
func ParseDocument(content []byte) (*typesv1.Site, error) {
	m := &typesv1.Site{}
	return m, decode(content, m)
}

// ParseNoticeDocument reads the bytes of a notice, as strictly.
func ParseNoticeDocument(content []byte) (*typesv1.NoticeDocument, error) {
	m := &typesv1.NoticeDocument{}
	return m, decode(content, m)
}

func decode(content []byte, m proto.Message) error {
	if err := proto.Unmarshal(content, m); err != nil {
		return fmt.Errorf("the document is not readable: %w", err)
	}
	if unknown := unknownIn(m.ProtoReflect(), ""); len(unknown) > 0 {
		return errors.New("the document has what this version does not know: " + strings.Join(unknown, ", "))
	}
	return nil
}

// unknownIn names the unknown fields and enum values of a message and of all that it holds.
func unknownIn(m protoreflect.Message, path string) (unknown []string) {
	if len(m.GetUnknown()) > 0 {
		unknown = append(unknown, "a field of "+string(m.Descriptor().Name())+path)
	}
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		at := path + "." + string(field.Name())
		switch {
		case field.IsMap():
			if field.MapValue().Kind() == protoreflect.MessageKind {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					unknown = append(unknown, unknownIn(v.Message(), at)...)
					return true
				})
			}
		case field.IsList():
			for i := range v.List().Len() {
				unknown = append(unknown, unknownValue(field, v.List().Get(i), fmt.Sprintf("%s[%d]", at, i))...)
			}
		default:
			unknown = append(unknown, unknownValue(field, v, at)...)
		}
		return true
	})
	return unknown
}

func unknownValue(field protoreflect.FieldDescriptor, v protoreflect.Value, at string) []string {
	switch field.Kind() {
	case protoreflect.MessageKind:
		return unknownIn(v.Message(), at)
	case protoreflect.EnumKind:
		if field.Enum().Values().ByNumber(v.Enum()) == nil {
			return []string{fmt.Sprintf("value %d of %s", v.Enum(), at)}
		}
	}
	return nil
}
