package admin

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ancora-fleet/ancora/dataplane"
	"github.com/ancora-fleet/ancora/dataplane/meter"
	"github.com/ancora-fleet/ancora/dataplane/recycle"
)

// collector makes metrics of the counters when they are asked for.
type collector struct {
	counts func() []dataplane.SiteCounts

	requests, durations, inFlight, aborted, received, sent, dropped *prometheus.Desc // of a site
	queue, rejected, connects, starts, recycles                     *prometheus.Desc // of an application
	build                                                           prometheus.Metric
}

func newCollector(counts func() []dataplane.SiteCounts, version string) *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("ancora_"+name, help, labels, nil)
	}
	build := desc("build_info", "The agent's version; always 1.", "version", "goversion")
	return &collector{
		counts:    counts,
		requests:  desc("requests_total", "Requests that ended, by class of status. A client that left before the answer counts as 4xx.", "site", "code_class"),
		durations: desc("request_duration_seconds", "From the end of a request's head to the end of its answer, without WebSockets.", "site"),
		inFlight:  desc("requests_in_flight", "Requests being served, WebSockets among them.", "site"),
		aborted:   desc("requests_aborted_total", "Requests whose client did not get the whole answer.", "site"),
		received:  desc("received_bytes_total", "Bytes of requests; of HTTP/2 bodies only.", "site"),
		sent:      desc("sent_bytes_total", "Bytes of answers; of HTTP/2 bodies only.", "site"),
		dropped:   desc("access_lines_dropped_total", "Lines of the access log that the disk was too slow or too full for.", "site"),
		queue:     desc("queue_length", "Requests that wait for a place or an instance.", "site", "application"),
		rejected:  desc("rejected_total", "Requests that reached no instance, by reason.", "site", "application", "reason"),
		connects:  desc("upstream_connects_total", "Connections to instances that were opened.", "site", "application"),
		starts:    desc("instance_starts_total", "Instances that were started, by reason.", "site", "application", "reason"),
		recycles:  desc("recycles_total", "Instances that were replaced, or for idle stopped, by the application's rules.", "site", "application", "reason"),
		build:     prometheus.MustNewConstMetric(build, prometheus.GaugeValue, 1, version, runtime.Version()),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.requests, c.durations, c.inFlight, c.aborted, c.received, c.sent, c.dropped, c.queue, c.rejected, c.connects, c.starts, c.recycles, c.build.Desc(),
	} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	to <- c.build
	for _, s := range c.counts() {
		c.site(to, &s)
		for _, a := range s.Applications {
			c.application(to, s.Site, &a)
		}
	}
}

func (c *collector) site(to chan<- prometheus.Metric, s *dataplane.SiteCounts) {
	for i, n := range s.Classes {
		to <- counter(c.requests, n, s.Site, string(rune('1'+i))+"xx")
	}
	buckets, count := map[float64]uint64{}, uint64(0)
	for i, bound := range meter.Buckets() {
		count += s.Durations[i]
		buckets[bound] = count
	}
	count += s.Durations[len(buckets)]
	to <- prometheus.MustNewConstHistogram(c.durations, count, s.Took.Seconds(), buckets, s.Site)
	to <- prometheus.MustNewConstMetric(c.inFlight, prometheus.GaugeValue, float64(s.InFlight), s.Site)
	to <- counter(c.aborted, s.Aborted, s.Site)
	to <- counter(c.received, s.Received, s.Site)
	to <- counter(c.sent, s.Sent, s.Site)
	to <- counter(c.dropped, s.LogDropped, s.Site)
}

func (c *collector) application(to chan<- prometheus.Metric, site string, a *dataplane.ApplicationCounts) {
	to <- prometheus.MustNewConstMetric(c.queue, prometheus.GaugeValue, float64(a.Load.Queued), site, a.Application)
	for _, r := range []struct {
		reason string
		n      uint64
	}{{"queue_full", a.Load.QueueFull}, {"queue_timeout", a.Load.QueueTimeout}, {"no_instance", a.Load.NoInstance}} {
		to <- counter(c.rejected, r.n, site, a.Application, r.reason)
	}
	to <- counter(c.connects, a.Connects, site, a.Application)
	for _, why := range meter.Reasons() {
		to <- counter(c.starts, a.Starts[why], site, a.Application, why.String())
	}
	for _, why := range recycle.Reasons() {
		to <- counter(c.recycles, a.Recycles[why], site, a.Application, string(why))
	}
}

func counter(d *prometheus.Desc, n uint64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}
