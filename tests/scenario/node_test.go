package scenario

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/tests/lab"
)

const nodeApp = `require('http').createServer((q, s) => {
  let n = 0; q.on('data', d => n += d.length); q.on('end', () => s.end('got ' + n));
}).listen(process.env.PORT, '127.0.0.1');
`

// Node closes connections that have been idle for 5 s. Requests that cannot be sent twice come just then, and none is lost.
func TestNodePosts(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not on PATH")
	}
	if node, err = filepath.EvalSymlinks(node); err != nil { // a link may stand where the application's user cannot go
		t.Fatal(err)
	}
	dir := lab.Dir(t)
	root := lab.Folder(t, dir, "root", map[string]string{"app.js": nodeApp})
	s := serve(t, dir, lab.Write(t, dir, "site.yaml", siteText("shop", root, "profile: generic\n", node, "app.js")))
	if a := lab.Get(t, s.address, "/"); a.Status != 200 {
		t.Fatalf("%d %s\n%s", a.Status, a.Body, s.Log())
	}
	const clients, posts = 64, 4
	lost := make(chan string, clients*posts)
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for i := range posts {
				if i > 0 {
					<-time.After(4*time.Second + rand.N(2*time.Second))
				}
				answer, err := client.Post("http://"+s.address+"/", "text/plain", io.NopCloser(strings.NewReader("hello")))
				if err != nil {
					lost <- err.Error()
					continue
				}
				body, err := io.ReadAll(answer.Body)
				_ = answer.Body.Close()
				if answer.StatusCode != 200 || string(body) != "got 5" || err != nil {
					lost <- fmt.Sprintf("%d %s, %v", answer.StatusCode, body, err)
				}
			}
		})
	}
	all.Wait()
	close(lost)
	for problem := range lost {
		t.Error(problem)
	}
}
