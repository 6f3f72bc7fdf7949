package main

import (
	"fmt"
	"sort"
	"strings"
	"time"
)

func report(rs []*result, d time.Duration) {
	type t struct{ n, safe, conf int }
	g := map[string]*t{}
	all := &t{}
	var names []string
	for _, r := range rs {
		if g[r.Group] == nil {
			g[r.Group] = &t{}
			names = append(names, r.Group)
		}
		for _, x := range []*t{g[r.Group], all} {
			x.n++
			if r.Safe {
				x.safe++
			}
			if r.Conform {
				x.conf++
			}
		}
	}
	sort.Strings(names)
	for _, n := range names {
		fmt.Printf("%-16s cases %3d  safe %3d  conform %3d\n", n, g[n].n, g[n].safe, g[n].conf)
	}
	for _, r := range rs {
		if !r.Safe {
			fmt.Printf("UNSAFE   %-18s %v %s\n", r.ID, r.Status, strings.Join(r.Unsafe, " | "))
		}
	}
	for _, r := range rs {
		if r.Safe && !r.Conform {
			fmt.Printf("deviates %-18s %v %s\n", r.ID, r.Status, strings.Join(r.Dev, " | "))
		}
	}
	fmt.Printf("TOTAL cases %d safe %d conform %d unsafe %d in %.1fs\n", all.n, all.safe, all.conf, all.n-all.safe, d.Seconds())
	fmt.Printf("%d passed, %d failed\n", all.safe, all.n-all.safe)
}
