package supervise

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/h1"
	"github.com/ancora-fleet/ancora/dataplane/h2c"
	"github.com/ancora-fleet/ancora/dataplane/journal"
	"github.com/ancora-fleet/ancora/dataplane/site"
)

// Warmup is what a new instance is asked for before it gets requests, one after another. Whatever it answers, it gets them then.
type Warmup struct {
	Requests []WarmupRequest
	// Scheme is that by which visitors come: http or https.
	Scheme string
}

// WarmupRequest is a target with the application's path, and the host it is asked for by.
type WarmupRequest struct{ Target, Host string }

// warmupAgent is who asks, by the name that applications written for IIS know.
const warmupAgent = "IIS Application Initialization Warmup"

// mostAnswer is how much of an answer is read, in bytes; nobody needs it.
const mostAnswer = 16 << 20

// warmUp asks for everything and tells the machine. What is late is cut off by the deadline, which is that of the start.
func (i *instance) warmUp(deadline time.Time) {
	ctx, cancel := context.WithDeadline(i.ending, deadline)
	defer cancel()
	var answers []string
	for _, r := range i.pool.config.Warmup.Requests {
		begin := time.Now()
		status, err := i.askFor(ctx, r)
		text := fmt.Sprintf("GET %s %s in %v", r.Target, status, time.Since(begin).Round(time.Millisecond))
		if err != nil {
			text = fmt.Sprintf("GET %s: %v", r.Target, err)
		}
		if answers = append(answers, text); ctx.Err() != nil {
			break
		}
	}
	message := "warmed up"
	if all := len(i.pool.config.Warmup.Requests); ctx.Err() != nil {
		message = fmt.Sprintf("not warmed up in time, after %d of %d requests", len(answers), all)
	}
	i.pool.log.Info(message, "instance", i.slot.number, "run", i.run, "answers", strings.Join(answers, ", "))
	i.record(journal.Event{ID: journal.EventWarmedUp, Message: message, Reason: strings.Join(answers, ", ")})
	i.send(event{kind: warmed})
}

// askFor makes one request, and reads its answer to the end: what is still being written is not warm.
func (i *instance) askFor(ctx context.Context, r WarmupRequest) (status string, err error) {
	fields := []h1.Field{
		{Name: []byte("User-Agent"), Value: []byte(warmupAgent)}, {Name: []byte("X-Forwarded-Proto"), Value: []byte(i.pool.config.Warmup.Scheme)},
		{Name: []byte("X-Forwarded-For"), Value: []byte("127.0.0.1")},
	}
	if i.token != "" {
		fields = append(fields, h1.Field{Name: []byte("MS-ASPNETCORE-TOKEN"), Value: []byte(i.token)})
	}
	network, address := i.endpointAddress()
	if i.pool.config.Protocol == site.ProtocolH2C {
		client := h2c.New(network, address, h2c.Options{})
		defer client.Close()
		answer, err := client.Do(ctx, &h2c.Request{Method: "GET", Target: r.Target, Host: r.Host, Fields: fields})
		if err != nil {
			return "", err
		}
		defer answer.Body.Close()
		_, err = io.CopyN(io.Discard, answer.Body, mostAnswer)
		return strconv.Itoa(answer.Status), notEOF(err)
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	head := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", r.Target, r.Host)
	for _, f := range fields {
		head = fmt.Appendf(head, "%s: %s\r\n", f.Name, f.Value)
	}
	if _, err = conn.Write(append(head, "\r\n"...)); err != nil {
		return "", err
	}
	in := bufio.NewReaderSize(conn, 4096)
	line, err := in.ReadSlice('\n') // of one that does not end only as much as the buffer holds
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		return "", err
	}
	words := strings.Fields(string(line))
	if len(words) < 2 || !strings.HasPrefix(words[0], "HTTP/1.") || len(words[1]) != 3 {
		return "", errNotHTTP
	}
	_, err = io.CopyN(io.Discard, in, mostAnswer)
	return words[1], notEOF(err)
}

var errNotHTTP = errors.New("the answer is not in HTTP/1.1")

// notEOF leaves out the end that was expected.
func notEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// endpointAddress is where it listens, as net.Dial has it.
func (i *instance) endpointAddress() (network, address string) {
	if i.at.Socket != "" {
		return "unix", i.at.Socket
	}
	return "tcp4", fmt.Sprintf("127.0.0.1:%d", i.at.Port)
}
