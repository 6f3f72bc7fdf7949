// Package page is what visitors see when no application answers: small, self-contained HTML that never says more than a
// visitor may know.
package page

import (
	"html"
	"strconv"
	"strings"
)

// Page is one answer.
type Page struct {
	Status int
	// Code is the status, with the substatus where there is one, as ANCM and IIS number it.
	Code string
	// Substatus is what stands behind the point of the code; 0: nothing.
	Substatus int
	Body      []byte
}

// ContentType of every page.
const ContentType = "text/html; charset=utf-8"

// NotFound: no site claims the host name and path.
func NotFound() Page {
	return build(404, "404", "Not Found", "No site answers at this address.", "")
}

// Unmapped: an application is at this address, but its web.config does not send it this request.
func Unmapped() Page {
	return build(404, "404", "Not Found", "The application does not answer at this address.", "")
}

// StartFailure: the application did not come up; code is 502.5 or one of 500.30 to 500.38 (behaviour.md 5.5). detail is
// shown, escaped, only where the application's environment is Development. link is where the page leads to; empty: nowhere.
func StartFailure(code, detail, link string) Page {
	status, _ := strconv.Atoi(code[:3])
	return build(status, code, "The application did not start", "The application behind this address could not be started. Its operator sees why in the log of events.", detail, link)
}

// Misconfigured: what the application's folder says cannot be used; code is 500.19, 500.0 or 502.5. detail and link are as in StartFailure.
func Misconfigured(code, detail, link string) Page {
	status, _ := strconv.Atoi(code[:3])
	return build(status, code, "The application cannot run as it is configured", "Its operator sees why in the log of events and in the status of the site.", detail, link)
}

// BadGateway: the application gave no proper answer.
func BadGateway(code, detail, link string) Page {
	return build(502, code, "Bad Gateway", "The application behind this address gave no proper answer.", detail, link)
}

// Plain stands in for the page of a failed start where the application switches it off (ERR-4); code is as in StartFailure and
// Misconfigured. Visitors see the status alone, operators the code all the same.
func Plain(code string) Page {
	status, _ := strconv.Atoi(code[:3])
	title := "Internal Server Error"
	if status == 502 {
		title = "Bad Gateway"
	}
	p := build(status, code[:3], title, "", "")
	p.Code, p.Substatus = code, substatus(code)
	return p
}

// Refused: the application's web.config does not let the request pass; status is 401, 403, 404 or 413.
func Refused(status, substatus int) Page {
	code := strconv.Itoa(status)
	if substatus != 0 {
		code += "." + strconv.Itoa(substatus)
	}
	switch status {
	case 413:
		return TooLarge()
	case 404:
		return build(404, code, "Not Found", "", "")
	case 401:
		return build(401, code, "Unauthorized", "", "")
	}
	return build(403, code, "Forbidden", "This address does not take the request.", "")
}

// Unavailable: too much to do, or going away.
func Unavailable(text string) Page { return build(503, "503", "Service Unavailable", text, "") }

// TooLarge: the body is over the limit.
func TooLarge() Page {
	return build(413, "413", "Content Too Large", "The request is larger than this address accepts.", "")
}

// TooSlow: the body comes too slowly.
func TooSlow() Page {
	return build(408, "408", "Request Timeout", "The request did not arrive in time.", "")
}

// BadRequest: the body breaks its framing.
func BadRequest() Page { return build(400, "400", "Bad Request", "", "") }

// Offline: out of service on purpose; message is an operator's, or empty.
func Offline(message string) []byte {
	if message == "" {
		message = "This site is out of service for a while. Please come back later."
	}
	return build(503, "", "Out of service", message, "").Body
}

func build(status int, code, title, text, detail string, link ...string) Page {
	var b strings.Builder
	b.WriteString(`<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>`)
	heading := title
	if code != "" {
		heading = "HTTP Error " + code + " - " + title
	}
	b.WriteString(html.EscapeString(heading))
	b.WriteString(`</title><style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:15vh auto;padding:0 1rem;color:#222;background:#fff}h1{font-size:1.4rem}pre{white-space:pre-wrap;background:#f3f3f3;padding:1rem}@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}pre{background:#262626}}</style></head><body><h1>`)
	b.WriteString(html.EscapeString(heading))
	b.WriteString("</h1>")
	if text != "" {
		b.WriteString("<p>" + html.EscapeString(text) + "</p>")
	}
	if detail != "" {
		b.WriteString("<pre>" + html.EscapeString(detail) + "</pre>")
	}
	for _, l := range link {
		if l != "" {
			b.WriteString(`<p><a href="` + html.EscapeString(l) + `">` + html.EscapeString(l) + "</a></p>")
		}
	}
	b.WriteString("</body></html>\n")
	return Page{Status: status, Code: code, Substatus: substatus(code), Body: []byte(b.String())}
}

// substatus is what stands behind the point of a code, which is ours.
func substatus(code string) int {
	_, sub, _ := strings.Cut(code, ".")
	n, _ := strconv.Atoi(sub)
	return n
}
