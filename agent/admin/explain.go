package admin

import (
	"net/http"
	"net/netip"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/ancora-fleet/ancora/dataplane/explain"
	"github.com/ancora-fleet/ancora/dataplane/wire"
)

// ExplainPath is where the socket, and only the socket, takes a question as a form: url, and where they are not empty site, method,
// listener, client. The answer is a types.v1.Explanation in JSON; 400 has all that is wrong with the question, as text.
const ExplainPath = "/explain"

// maxQuestion bounds the form, in bytes.
const maxQuestion = 64 << 10

// onSocket adds what is only for those who may open the socket: an answer names files and processes.
func (s *Server) onSocket(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", next)
	mux.HandleFunc("POST "+ExplainPath, s.explain)
	return mux
}

func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxQuestion)
	q, err := explain.ParseURL(r.PostFormValue("url"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if text := r.PostFormValue("client"); text != "" {
		if q.Client, err = netip.ParseAddr(text); err != nil {
			http.Error(w, "the client's address is none", http.StatusBadRequest)
			return
		}
	}
	asked := wire.QuestionMessage(q)
	asked.Site, asked.Method, asked.Listener = r.PostFormValue("site"), r.PostFormValue("method"), r.PostFormValue("listener")
	if q, err = wire.Question(asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	content, err := protojson.Marshal(wire.ExplanationMessage(s.config.Explain(q)))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(content) // who has left needs no word
}
