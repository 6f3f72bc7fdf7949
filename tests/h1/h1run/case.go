package main

type step struct {
	Send       *string `json:"send"`
	Repeat     string  `json:"repeat"`
	Times      int     `json:"times"`
	WaitMS     int     `json:"wait_ms"`
	CloseWrite bool    `json:"close_write"`
}
type tcase struct {
	ID           string            `json:"id"`
	Group        string            `json:"group"`
	Clause       string            `json:"clause"`
	Why          string            `json:"why"`
	Steps        []step            `json:"steps"`
	Methods      []string          `json:"methods"`
	Outcome      string            `json:"outcome"`
	MaxReqs      *int              `json:"max_reqs"`
	MinReqs      int               `json:"min_reqs"`
	Status       []int             `json:"status"`
	Close        bool              `json:"close"`
	Body         *string           `json:"body"`
	Has          map[string]string `json:"has"`
	HasSub       map[string]string `json:"has_sub"`
	Absent       []string          `json:"absent"`
	SoftAbsent   []string          `json:"soft_absent"`
	ProdAbsent   []string          `json:"product_absent"`
	Target       []string          `json:"target"`
	HostNot      string            `json:"host_not"`
	OneAuth      bool              `json:"one_authority"`
	UpNot        string            `json:"up_not"`
	UpNotSoft    string            `json:"up_not_soft"`
	WaitOK       bool              `json:"wait_ok"`
	FullOK       bool              `json:"full_ok"`
	AbsentHard   []string          `json:"absent_hard"`
	NoMerge      string            `json:"no_merge"`
	XFFLast      string            `json:"xff_last"`
	TEOK         bool              `json:"te_ok"`
	NoRaw        bool              `json:"no_raw"`
	No1xx        bool              `json:"no_1xx"`
	NoTEResp     bool              `json:"no_te_resp"`
	Reply        string            `json:"reply"`
	ReplyAt      string            `json:"reply_at"`
	ReplyClose   bool              `json:"reply_close"`
	Late         string            `json:"late"`
	Want         []int             `json:"want"`
	WantBody     *string           `json:"want_body"`
	TruncOK      bool              `json:"truncated_ok"`
	TEUnknown    bool              `json:"te_unknown"`
	ClientAbsent []string          `json:"client_absent"`
	ClientProd   []string          `json:"client_product_absent"`
	Lenient      []int             `json:"lenient"`
}

func (c *tcase) HasReply() bool { return c.Outcome == "response" || c.Reply != "" }

func latin(s string) []byte {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		b = append(b, byte(r))
	}
	return b
}

type result struct {
	ID      string   `json:"id"`
	Group   string   `json:"group"`
	Safe    bool     `json:"safe"`
	Conform bool     `json:"conform"`
	Status  []int    `json:"client_status"`
	Closed  bool     `json:"client_closed"`
	Backend []*msg   `json:"backend,omitempty"`
	Unsafe  []string `json:"unsafe,omitempty"`
	Dev     []string `json:"deviates,omitempty"`
	Notes   []string `json:"notes,omitempty"`
	MS      int64    `json:"ms"`
}
