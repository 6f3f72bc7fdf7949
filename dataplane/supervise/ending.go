package supervise

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/h1"
	"github.com/ancora-fleet/ancora/dataplane/h2c"
	"github.com/ancora-fleet/ancora/dataplane/journal"
	"github.com/ancora-fleet/ancora/dataplane/meter"
	"github.com/ancora-fleet/ancora/dataplane/process"
)

// ExitRecord is how a run ended.
type ExitRecord struct {
	Run uint64
	process.Exit
	// Unexpected: nobody asked it to.
	Unexpected bool
	// Output is its last lines, secrets redacted.
	Output []string
}

// ask sends the shutdown request (SHD-1) and says when it was not taken (SHD-2).
func (i *instance) ask() {
	status, err := i.shutdownRequest()
	i.record(journal.Event{ID: journal.EventShutdownSent, Message: "shutdown request sent", Reason: answerText(status, err)})
	if err != nil || status != "202" {
		i.send(event{kind: unanswered})
	}
}

func answerText(status string, err error) string {
	if err != nil {
		return err.Error()
	}
	return "status " + status
}

func (i *instance) shutdownRequest() (string, error) {
	limit := max(i.pool.config.Shutdown, time.Second)
	if h := i.speaksH2C(); h != nil {
		return i.shutdownOverH2(h, limit)
	}
	conn, err := net.DialTimeout("tcp4", fmt.Sprintf("127.0.0.1:%d", i.at.Port), limit)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(limit))
	_, err = fmt.Fprintf(conn, "POST %s/iisintegration HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nMS-ASPNETCORE-EVENT: shutdown\r\nMS-ASPNETCORE-TOKEN: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		strings.TrimSuffix(i.pool.config.Base, "/"), i.at.Port, i.token)
	if err != nil {
		return "", err
	}
	line, err := bufio.NewReaderSize(conn, 4096).ReadString('\n')
	if err != nil {
		return "", err
	}
	_, rest, _ := strings.Cut(line, " ")
	status, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	return status, nil
}

// speaksH2C gives the client for an instance that speaks HTTP/2 only.
func (i *instance) speaksH2C() *h2c.Client {
	i.pool.mu.Lock()
	defer i.pool.mu.Unlock()
	if i.upstream == nil {
		return nil
	}
	return i.upstream.H2C()
}

func (i *instance) shutdownOverH2(h *h2c.Client, limit time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	answer, err := h.Do(ctx, &h2c.Request{
		Method: "POST", Target: strings.TrimSuffix(i.pool.config.Base, "/") + "/iisintegration", Host: fmt.Sprintf("127.0.0.1:%d", i.at.Port),
		Fields: []h1.Field{
			{Name: []byte("MS-ASPNETCORE-EVENT"), Value: []byte("shutdown")}, {Name: []byte("MS-ASPNETCORE-TOKEN"), Value: []byte(i.token)},
		},
	})
	if err != nil {
		return "", err
	}
	_ = answer.Body.Close() // its status is all it has to say
	return strconv.Itoa(answer.Status), nil
}

// end collects what is to be known of a run that is over, and takes it out of the pool.
func (i *instance) end(m machine, exit process.Exit) {
	c := &i.pool.config
	elsewhere := ""
	if m.Late {
		elsewhere = i.elsewhere
	}
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	if i.at.Socket != "" {
		_ = os.Remove(i.at.Socket) // most applications do that themselves
	}
	if err := i.process.Forget(ctx); err != nil {
		i.pool.log.Error("instance not ended", "run", i.run, "error", err)
	}
	copied := i.letCopyGo()
	if c.Witness != nil {
		c.Witness.Ended(i.run)
	}
	unexpected := !i.wanted(m)
	if unexpected {
		c.Journal.AwaitEnd(c.Site, c.Application, i.run, lastWordsLimit) // what it said last says most
	}
	record := &ExitRecord{Run: i.run, Exit: exit, Unexpected: unexpected, Output: c.Journal.LastOutput(c.Site, c.Application, i.run, lastOutput)}
	if m.Killed {
		i.record(journal.Event{ID: journal.EventShutdownFailed, Message: fmt.Sprintf("did not stop within %v, killed", c.Shutdown)})
	}
	var failure error
	switch {
	case !m.Proven && unexpected:
		failure = i.startFailure(m, exit, elsewhere)
	case unexpected:
		failure = i.exitFailure(exit)
		i.record(journal.Event{ID: exitEvent(c.InProcess, exit), Message: "the application ended although nobody asked it to", Reason: i.whose(exit), Exit: exit.String(), Output: record.Output})
		i.pool.log.Warn("instance ended unexpectedly", "instance", i.slot.number, "run", i.run, "pid", i.process.Pid(), "error", exit.String())
	default:
		i.record(journal.Event{ID: stopEvent(c.InProcess), Message: "stopped", Exit: exit.String()})
		i.pool.log.Info("instance stopped", "instance", i.slot.number, "run", i.run, "pid", i.process.Pid())
	}
	if unexpected && !copied {
		i.disturbed(m, exit)
	}
	conflict := !i.second && c.Port == 0 && !m.Late && i.at.Port != 0
	if failure != nil && !m.Proven && (i.attempts < c.Retries || conflict && taken(i.at.Port)) {
		i.again()
		return
	}
	if f, ok := failure.(*StartError); ok && !f.Served {
		i.record(i.startEvent(f, exit.String()))
	}
	if !unexpected {
		failure = ErrStopping
	}
	i.pool.ended(i, record, failure, unexpected)
}

// wanted says whether the end was asked for.
func (i *instance) wanted(m machine) bool {
	i.pool.mu.Lock()
	defer i.pool.mu.Unlock()
	return i.stopping.Load() && !m.Late
}

func (i *instance) startFailure(m machine, exit process.Exit, elsewhere string) *StartError {
	c := &i.pool.config
	f := &StartError{Late: m.Late, Output: c.Journal.LastCharacters(c.Site, c.Application, i.run, startOutput)}
	if m.Late {
		f.Message = fmt.Sprintf("did not listen on %v within %v%s", i.at, c.Startup, elsewhere)
	} else {
		f.Exit = &exit
		f.Message = fmt.Sprintf("ended with %v before it listened on %v", exit, i.at)
		if m.Warmed {
			f.Message = fmt.Sprintf("ended with %v while it was warmed up", exit)
		}
	}
	if !c.InProcess {
		i.record(journal.Event{ID: journal.EventStartAttemptFailed, Message: "an attempt to start failed", Reason: f.Message, Exit: exit.String()})
	}
	i.pool.log.Warn("instance does not start", "instance", i.slot.number, "run", i.run, "pid", i.process.Pid(), "error", f.Message)
	return f
}

// again makes another attempt, the one that a port conflict is worth (D10), or one of those that startupRetryCount allows
// (HPH-2); waiting requests wait on.
func (i *instance) again() {
	next := i.pool.newInstance(i.slot)
	next.second, next.attempts, next.drain = true, i.attempts+1, i.drain
	i.pool.mu.Lock()
	if i.pool.closed {
		i.pool.mu.Unlock()
		i.pool.ended(i, nil, ErrStopping, false)
		return
	}
	i.retry = next
	i.slot.retried(i, next)
	why := meter.Port
	if i.pool.config.Retries > 0 {
		why = meter.Failure
	}
	i.pool.config.Meter.Started(why)
	i.settle(nil)
	i.pool.mu.Unlock()
	go next.launch()
}

// taken says whether somebody else holds the port.
func taken(port uint16) bool {
	l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return true
	}
	_ = l.Close()
	return false
}
