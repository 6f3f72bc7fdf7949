package api

import (
	"slices"

	"github.com/ancora-fleet/ancora/controlplane/selector"
	"github.com/ancora-fleet/ancora/dataplane/site"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// maxCursors bounds the places a query goes on from: one for each application of each host.
const maxCursors = 10_000

type logs struct {
	controlv1.UnimplementedLogServiceServer
	services
	streamer logStreamer
}

// StreamLogs checks what is asked and leaves the rest to who has the hosts.
func (s *logs) StreamLogs(request *controlv1.StreamLogsRequest, stream controlv1.LogService_StreamLogsServer) error {
	if problems := validQuery(request); len(problems) > 0 {
		return problems
	}
	if s.store.View().Sites[request.GetQuery().GetSite()] == nil {
		return notFound("site", request.GetQuery().GetSite())
	}
	return s.streamer.Stream(stream.Context(), request, stream.Send)
}

func validQuery(request *controlv1.StreamLogsRequest) site.Problems {
	var problems site.Problems
	query := request.GetQuery()
	if query.GetSite() == "" {
		problems = append(problems, problem("query.site", "is missing")...)
	}
	for _, stream := range query.GetStreams() {
		if _, known := typesv1.LogStream_name[int32(stream)]; !known || stream == typesv1.LogStream_LOG_STREAM_UNSPECIFIED {
			problems = append(problems, problem("query.streams", "%s is not known", stream)...)
		}
	}
	if slices.Contains(query.GetStreams(), typesv1.LogStream_LOG_STREAM_ACCESS) && (query.GetApplication() != "" || query.GetInstance() != 0 || query.GetPrevious() != 0) {
		problems = append(problems, problem("query.streams", "the access log is the whole site's: it has no application, instance or previous run")...)
	}
	if n := len(query.GetCursors()); n > maxCursors {
		problems = append(problems, problem("query.cursors", "are %d, more than %d", n, maxCursors)...)
	}
	if _, err := selector.Parse(request.GetHosts()); err != nil {
		problems = append(problems, problem("hosts", "%v", err)...)
	}
	return problems
}
