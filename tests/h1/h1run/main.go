// Command h1run plays corpus.json against an HTTP/1.1 proxy whose upstream is this program's recording back end.
//
//	h1run -proxy 127.0.0.1:8080 -backend 127.0.0.1:9000 -corpus corpus.json [-json out.json] [-only id,id] [-v]
//
// Verdicts per case: safe/UNSAFE (what reached the back end or the client is ambiguous, or another request's
// answer leaked) and conform/deviates (the reaction that the RFC clause asks for).
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

var (
	proxy   = flag.String("proxy", "127.0.0.1:8080", "proxy under test")
	beAddr  = flag.String("backend", "127.0.0.1:9000", "address where the recording back end listens (the proxy's upstream)")
	corpus  = flag.String("corpus", "corpus.json", "the cases")
	out     = flag.String("json", "", "write results here")
	only    = flag.String("only", "", "case ids")
	verbose = flag.Bool("v", false, "print every case")
	quiet   = flag.Duration("quiet", 700*time.Millisecond, "silence after which a case is over")
	product = flag.Bool("product", false, "also enforce the ANCM-specific rules (strip MS-ASPNETCORE*, hide the token)")
)

func main() {
	flag.Parse()
	var f struct {
		Cases []*tcase `json:"cases"`
	}
	d, err := os.ReadFile(*corpus)
	if err == nil {
		err = json.Unmarshal(d, &f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	be, err := newBackend(*beAddr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	var rs []*result
	t0 := time.Now()
	for _, c := range f.Cases {
		if *only != "" && !strings.Contains(","+*only+",", ","+c.ID+",") {
			continue
		}
		rs = append(rs, run(be, c))
		r := rs[len(rs)-1]
		if *verbose || *only != "" {
			fmt.Printf("%-18s safe=%v conform=%v status=%v closed=%v %dms unsafe=%q dev=%q notes=%q\n", r.ID, r.Safe, r.Conform, r.Status, r.Closed, r.MS, r.Unsafe, r.Dev, r.Notes)
			if *only != "" {
				for _, m := range r.Backend {
					fmt.Printf("   back end got (complete=%v): %q body=%q\n", m.Complete, trunc(m.Raw, 600), trunc([]byte(m.Body), 120))
				}
			}
		}
	}
	report(rs, time.Since(t0))
	if *out != "" {
		b, _ := json.MarshalIndent(rs, "", " ")
		os.WriteFile(*out, b, 0o644)
	}
	for _, r := range rs {
		if !r.Safe {
			os.Exit(1)
		}
	}
}
