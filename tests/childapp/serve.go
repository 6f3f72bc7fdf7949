package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

func serve(o options, stop <-chan os.Signal) error {
	network, address := "unix", os.Getenv("SOCKET")
	if address == "" {
		network, address = "tcp4", "127.0.0.1:"+port()
	}
	if o.elsewhere {
		network, address = "tcp4", "127.0.0.1:0"
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	fmt.Printf("childapp listens on %v\n", listener.Addr())
	asked := make(chan struct{})
	server := &http.Server{Handler: new(first).guarded(o, asked)}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	for {
		select {
		case err := <-ended:
			return err
		case <-asked:
		case s := <-stop:
			fmt.Printf("childapp got %v\n", s)
			if o.ignoreTerm {
				continue
			}
		}
		time.Sleep(o.stopDelay)
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		fmt.Println("childapp ends")
		return nil
	}
}

// guard does what the IIS middleware does: it refuses requests without the pairing token and takes the shutdown request.
func guard(o options, asked chan<- struct{}, next http.Handler) http.Handler {
	token, base := os.Getenv("ASPNETCORE_TOKEN"), strings.TrimSuffix(os.Getenv("ASPNETCORE_APPL_PATH"), "/")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token != "" && r.Header.Get("MS-ASPNETCORE-TOKEN") != token {
			fmt.Printf("'MS-ASPNETCORE-TOKEN' does not match the expected pairing token '%s', request rejected.\n", token)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		path := r.URL.Path
		if len(path) >= len(base) && strings.EqualFold(path[:len(base)], base) {
			path = path[len(base):]
		}
		if token != "" && !o.noShutdown && !o.ignoreTerm && r.Method == http.MethodPost && path == "/iisintegration" &&
			strings.EqualFold(strings.TrimSpace(r.Header.Get("MS-ASPNETCORE-EVENT")), "shutdown") {
			fmt.Println("childapp takes the shutdown request")
			w.WriteHeader(http.StatusAccepted)
			go func() { asked <- struct{}{} }()
			return
		}
		r.URL.Path = "/" + strings.TrimPrefix(path, "/")
		next.ServeHTTP(w, r)
	})
}

func routes(o options, asked *first) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		text := o.say
		if text == "" {
			text = "hello"
		}
		fmt.Fprintf(w, "%s pid=%d\n", text, os.Getpid())
	})
	mux.HandleFunc("/pid", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, os.Getpid()) })
	mux.HandleFunc("/env", func(w http.ResponseWriter, _ *http.Request) {
		environ := os.Environ()
		sort.Strings(environ)
		fmt.Fprintln(w, strings.Join(environ, "\n"))
	})
	mux.HandleFunc("/status", procStatus)
	mux.HandleFunc("/headers", headers)
	mux.HandleFunc("/echo", echo)
	mux.HandleFunc("/answer", answer)
	for _, path := range []string{"/upload", "/upload/"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(io.Discard, r.Body)
			fmt.Fprintf(w, "%d %v\n", n, err)
		})
	}
	piece := bytes.Repeat([]byte("x"), 32<<10) // made once: whoever measures others must cost little itself
	mux.HandleFunc("/bytes", func(w http.ResponseWriter, r *http.Request) {
		n := number(r, "n", 1024)
		w.Header().Set("Content-Length", strconv.Itoa(n))
		for err := error(nil); n > 0 && err == nil; n -= len(piece) {
			_, err = w.Write(piece[:min(n, len(piece))])
		}
	})
	mux.HandleFunc("/sleep", func(w http.ResponseWriter, r *http.Request) {
		d, _ := time.ParseDuration(r.URL.Query().Get("d"))
		select {
		case <-time.After(d):
			fmt.Fprintln(w, "slept")
		case <-r.Context().Done():
			fmt.Println("childapp: client gone")
		}
	})
	mux.HandleFunc("/crowd", crowd())
	mux.HandleFunc("/work", work)
	mux.HandleFunc("/grow", grow())
	mux.HandleFunc("/first", asked.answer)
	mux.HandleFunc("/stream", stream)
	mux.HandleFunc("/log", logLines)
	mux.HandleFunc("/exit", func(http.ResponseWriter, *http.Request) { os.Exit(7) })
	mux.HandleFunc("/crash", func(http.ResponseWriter, *http.Request) {
		fmt.Fprintln(os.Stderr, "childapp: crash on request")
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	})
	mux.HandleFunc("/hangup", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/fork", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, fork(r.URL.Query().Get("kind"))) })
	mux.HandleFunc("/ws", websocket)
	return mux
}

// crowd takes a while and answers how many requests it has had at once at most: /crowd?d=5ms.
func crowd() http.HandlerFunc {
	var now, most atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		d, _ := time.ParseDuration(r.URL.Query().Get("d"))
		time.Sleep(d)
		fmt.Fprintln(w, most.Load())
	}
}

func headers(w http.ResponseWriter, r *http.Request) {
	lines := []string{"Host: " + r.Host, "Target: " + r.RequestURI}
	for name, values := range r.Header {
		for _, v := range values {
			lines = append(lines, name+": "+v)
		}
	}
	slices.Sort(lines)
	fmt.Fprintln(w, strings.Join(lines, "\n"))
}

// answer has the status and the fields that it is asked for: /answer?status=404&Server=x.
func answer(w http.ResponseWriter, r *http.Request) {
	for name, values := range r.URL.Query() {
		if name != "status" {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(number(r, "status", http.StatusOK))
	fmt.Fprintln(w, "the application's own")
}

func echo(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).EnableFullDuplex()
	if r.ContentLength >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
	_, _ = io.Copy(w, r.Body)
}

func stream(w http.ResponseWriter, r *http.Request) {
	gap, _ := time.ParseDuration(r.URL.Query().Get("gap"))
	if kind := r.URL.Query().Get("type"); kind != "" {
		w.Header().Set("Content-Type", kind)
	}
	flush := http.NewResponseController(w)
	for i := range number(r, "n", 10) {
		fmt.Fprintf(w, "chunk %d\n", i)
		_ = flush.Flush()
		select {
		case <-time.After(gap):
		case <-r.Context().Done():
			return
		}
	}
}

// logLines writes numbered lines: /log?n=1000&prefix=a&stream=stderr.
func logLines(w http.ResponseWriter, r *http.Request) {
	out := os.Stdout
	if r.URL.Query().Get("stream") == "stderr" {
		out = os.Stderr
	}
	from, n := number(r, "from", 1), number(r, "n", 1)
	for i := from; i < from+n; i++ {
		fmt.Fprintf(out, "%s %d\n", r.URL.Query().Get("prefix"), i)
	}
	fmt.Fprintln(w, n)
}

func procStatus(w http.ResponseWriter, _ *http.Request) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	dir, _ := os.Getwd()
	fmt.Fprintf(w, "%sCwd:\t%s\n", status, dir)
}

func number(r *http.Request, name string, otherwise int) int {
	if n, err := strconv.Atoi(r.URL.Query().Get(name)); err == nil {
		return n
	}
	return otherwise
}
