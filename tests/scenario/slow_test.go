package scenario

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// 4,000 connections of 400 addresses go slowly: with their heads, with their bodies, in reading, then all of it at once.
// Whoever comes from elsewhere is served all the while, and the agent does not grow without bound.
func TestSlowAttack(t *testing.T) {
	const connections, sources, asked, memory = 4000, 400, 1000, 256 << 20
	// Of all that come 99.9 % are to be served while each phase lasts 30 s. What is lost is lost when 4,000 begin at once, so in
	// phases of 9 s on average it may be three times as much.
	const served = 0.997
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < 3*connections {
		t.Skipf("%d descriptors are allowed: %d are needed for clients, agent and application each", limit.Cur, 3*connections)
	}
	s := serveSite(t, "limits: {concurrency: 200}\n")
	lab.Get(t, s.address, "/pid")

	ways, visitors := lab.SlowWays(), startVisitors(s.address)
	var cut [3]atomic.Int64
	for _, phase := range []struct {
		ways []int
		last time.Duration
	}{{[]int{0}, 6 * time.Second}, {[]int{1}, 8 * time.Second}, {[]int{2}, 8 * time.Second}, {[]int{0, 1, 2}, 14 * time.Second}} {
		ctx, cancel := context.WithTimeout(t.Context(), phase.last)
		var attackers sync.WaitGroup
		for n := range connections {
			way := phase.ways[n%len(phase.ways)]
			from := &net.TCPAddr{IP: net.IPv4(127, 1, byte(n%sources/200), byte(1+n%200))}
			attackers.Go(func() { ways[way].Attack(ctx, s.address, from, &cut[way]) })
		}
		attackers.Wait()
		cancel()
	}
	visitors.stop()
	all := visitors.served + visitors.failed
	if all < asked || float64(visitors.served) < served*float64(all) {
		t.Errorf("%d of %d requests were served, at least %d should come: %s", visitors.served, all, asked, visitors.failure)
	}
	for i, way := range ways {
		if cut[i].Load() == 0 {
			t.Errorf("no connection with a slow %s was cut", way.Name)
		}
	}
	most := 0
	for _, pid := range lab.Family(s.Pid()) {
		most += peak(t, pid)
	}
	if most == 0 || most > memory {
		t.Errorf("the agent has grown to %d MiB", most>>20)
	}
	t.Logf("figure: slow attack: %d of %d good requests served, half within %v, 99 %% within %v; agent's memory at most %d MiB; cut: %d heads, %d bodies, %d readers",
		visitors.served, all, visitors.share(50), visitors.share(99), most>>20, cut[0].Load(), cut[1].Load(), cut[2].Load())
}

// visitors ask for a small page again and again, half of them on kept connections.
type visitors struct {
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	served  int
	failed  int
	times   []time.Duration
	failure string
}

func startVisitors(address string) *visitors {
	ctx, cancel := context.WithCancel(context.Background())
	v := &visitors{cancel: cancel}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 99)}}
	for n := range 4 {
		transport := &http.Transport{DialContext: d.DialContext, DisableKeepAlives: n%2 == 1}
		client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
		v.done.Go(func() {
			defer transport.CloseIdleConnections()
			for lab.Wait(ctx, 20*time.Millisecond) {
				v.ask(client, "http://"+address+"/pid")
			}
		})
	}
	return v
}

func (v *visitors) ask(client *http.Client, url string) {
	began, status := time.Now(), ""
	response, err := client.Get(url)
	if err == nil {
		_, err = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		status = response.Status
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.times = append(v.times, time.Since(began))
	if err != nil || response.StatusCode != http.StatusOK {
		v.failed++
		v.failure = fmt.Sprint(status, " ", err)
		return
	}
	v.served++
}

func (v *visitors) stop() {
	v.cancel()
	v.done.Wait()
	slices.Sort(v.times)
}

// share gives the time within which so many of a hundred were answered.
func (v *visitors) share(percent int) time.Duration {
	return v.times[(len(v.times)-1)*percent/100].Round(100 * time.Microsecond)
}

// peak is the most memory that a process has had at once, in bytes.
func peak(t *testing.T, pid int) int {
	t.Helper()
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatalf("process %d has no peak", pid)
	return 0
}
