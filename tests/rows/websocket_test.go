package rows

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// J: WebSockets.
func TestWebSocket(t *testing.T) {
	t.Parallel()
	plain := shared(t, func(r *recorder) *served { return serve(r, probe(r, outOfProcess, "")) })
	app := shared(t, func(r *recorder) *served { return serve(r, compile(r, socketApp, appConfig(outOfProcess, ""))) })
	row(t, "J02 the client closes", func(r *recorder) {
		s := plain(r)
		ws := s.upgrade("/ws")
		ws.send(8, append([]byte{0x03, 0xe8}, "mine"...))
		opcode, payload := ws.receive()
		want(r, "frame", fmt.Sprintf("%d %x %s", opcode, payload[:2], payload[2:]), "8 03e8 bye")
		ws.ended()
	})
	row(t, "J03 the application closes", func(r *recorder) {
		s := app(r)
		ws := s.upgrade("/close")
		opcode, payload := ws.receive()
		want(r, "frame", fmt.Sprintf("%d %d %s", opcode, binary.BigEndian.Uint16(payload), payload[2:]), "8 1001 ClosingFromServer")
		r.saw(reply, "close frame %q", payload)
	})
	row(t, "J05 a changed web.config while a WebSocket is open", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess+`shutdownTimeLimit="5"`, ""))
		before := s.who("/who").Pid
		ws := s.upgrade("/ws")
		ws.send(1, []byte("hello"))
		ws.receive()
		s.touch("web.config")
		s.newPid(before)
		again := s.upgrade("/ws")
		again.send(1, []byte("again"))
		_, payload := again.receive()
		want(r, "the new connection", string(payload), "again")
		ws.send(8, []byte{0x03, 0xe8}) // the old one is served until it leaves
		if opcode, _ := ws.receive(); opcode != 8 {
			r.Errorf("opcode %d", opcode)
		}
	})
	row(t, "J06 OnStarting of an upgrade", func(r *recorder) {
		s := app(r)
		a := s.upgrade("/onstarting").answer
		want(r, "status", a.status, 101)
		want(r, "field", a.header.Get("X-Started"), "yes")
	})
	row(t, "J07 the body is read before the upgrade", func(r *recorder) {
		s := app(r)
		ws := s.upgrade("/readfirst")
		want(r, "status", ws.answer.status, 101)
		ws.send(1, []byte("message"))
		_, payload := ws.receive()
		want(r, "message", string(payload), "message")
	})
	row(t, "J08 a thousand frames", func(r *recorder) {
		ws := plain(r).upgrade("/ws")
		for i := range 1000 {
			text := fmt.Sprintf("frame %d", i)
			ws.send(1, []byte(text))
			if _, payload := ws.receive(); string(payload) != text {
				r.Fatalf("frame %d comes back as %q", i, payload)
			}
		}
		r.saw(reply, "1000 frames")
	})
	row(t, "J09 an upgrade that is not taken", func(r *recorder) {
		s := app(r)
		a := s.get("/refuse", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
		want(r, "status", a.status, 403)
		want(r, "body", a.body, "not for you")
	})
	row(t, "J10 the client is gone without a word", func(r *recorder) {
		s := serve(r, compile(r, socketApp, appConfig(outOfProcess, "")))
		ws := s.upgrade("/report")
		ws.send(1, []byte("hello"))
		ws.receive()
		ws.conn.Close()
		s.printed("report: left")
	})
	row(t, "J11 idle for longer than requestTimeout", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess+`requestTimeout="00:00:01"`, ""))
		s.warm("/")
		ws := s.upgrade("/ws")
		<-time.After(3 * time.Second)
		ws.send(1, []byte("still here"))
		_, payload := ws.receive()
		want(r, "frame", string(payload), "still here")
		r.saw(reply, "a frame after three times the limit")
	})
	row(t, "J12 the application is told that there are WebSockets", func(r *recorder) {
		s := plain(r)
		want(r, "variable", s.environ()["ASPNETCORE_IIS_WEBSOCKETS_SUPPORTED"], "true")
		want(r, "status", s.upgrade("/ws").answer.status, 101)
	})
}

const socketApp = `using System.Net.WebSockets;
using System.Text;
var app = WebApplication.CreateBuilder(args).Build();
app.UseWebSockets();
async Task Echo(WebSocket ws, HttpContext c) {
	var buffer = new byte[4096];
	while (true) {
		var got = await ws.ReceiveAsync(buffer.AsMemory(), c.RequestAborted);
		if (got.MessageType == WebSocketMessageType.Close) return;
		await ws.SendAsync(buffer.AsMemory(0, got.Count), got.MessageType, got.EndOfMessage, c.RequestAborted);
	}
}
app.Map("/close", async (HttpContext c) => {
	using var ws = await c.WebSockets.AcceptWebSocketAsync();
	await ws.CloseOutputAsync(WebSocketCloseStatus.EndpointUnavailable, "ClosingFromServer", default);
	await ws.ReceiveAsync(new byte[100], default);
});
app.Map("/onstarting", async (HttpContext c) => {
	c.Response.OnStarting(() => { c.Response.Headers["X-Started"] = "yes"; return Task.CompletedTask; });
	using var ws = await c.WebSockets.AcceptWebSocketAsync();
	await Echo(ws, c);
});
app.Map("/readfirst", async (HttpContext c) => {
	await c.Request.Body.ReadAsync(new byte[1]);
	using var ws = await c.WebSockets.AcceptWebSocketAsync();
	await Echo(ws, c);
});
app.Map("/refuse", (HttpContext c) => Results.Text("not for you", statusCode: 403));
app.Map("/report", async (HttpContext c) => {
	using var ws = await c.WebSockets.AcceptWebSocketAsync();
	try { await Echo(ws, c); } catch (Exception e) { Console.WriteLine("report: " + e.GetType().Name); } finally { Console.WriteLine("report: left"); }
});
app.MapGet("/", () => "up");
app.Run();`

// socket is one end of an upgraded connection.
type socket struct {
	r      *recorder
	conn   net.Conn
	in     *bufio.Reader
	answer answer
}

// upgrade asks for a WebSocket; the test fails when it is not had.
func (s *served) upgrade(path string, fields ...string) *socket {
	s.r.Helper()
	ws, err := s.tryUpgrade(path, fields...)
	if err != nil || ws.answer.status != 101 {
		s.r.Fatalf("upgrade of %s: %v, %v", path, ws.answer, err)
	}
	s.r.saw(reply, "upgrade of %s: 101", path)
	return ws
}

func (s *served) tryUpgrade(path string, fields ...string) (*socket, error) {
	ws := &socket{r: s.r}
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		return ws, err
	}
	s.r.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(2 * lab.Deadline))
	text := "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	for _, f := range fields {
		text += f + "\r\n"
	}
	if _, err := io.WriteString(conn, text+"\r\n"); err != nil {
		return ws, err
	}
	ws.conn, ws.in = conn, bufio.NewReader(conn)
	ws.answer, err = receive(ws.in, "GET")
	return ws, err
}

// send sends one frame of up to 125 bytes.
func (w *socket) send(opcode byte, payload []byte) {
	w.r.Helper()
	frame := append([]byte{0x80 | opcode, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
	if _, err := w.conn.Write(frame); err != nil {
		w.r.Fatal(err)
	}
}

// receive reads one frame.
func (w *socket) receive() (opcode byte, payload []byte) {
	w.r.Helper()
	opcode, payload, err := w.next()
	if err != nil {
		w.r.Fatal(err)
	}
	return opcode, payload
}

func (w *socket) next() (opcode byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(w.in, head[:]); err != nil {
		return 0, nil, err
	}
	length := int(head[1] & 0x7f)
	if length == 126 {
		var long [2]byte
		if _, err := io.ReadFull(w.in, long[:]); err != nil {
			return 0, nil, err
		}
		length = int(binary.BigEndian.Uint16(long[:]))
	}
	payload = make([]byte, length)
	_, err = io.ReadFull(w.in, payload)
	return head[0] & 0x0f, payload, err
}

// ended waits for the end of the connection, behind which nothing more comes.
func (w *socket) ended() {
	w.r.Helper()
	if rest, err := io.ReadAll(w.in); len(rest) > 0 || err != nil && !strings.Contains(err.Error(), "reset") {
		w.r.Errorf("behind the close frame: %q %v", rest, err)
	}
}
