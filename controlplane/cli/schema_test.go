package cli

import (
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"
)

func TestSchema(t *testing.T) {
	code, out, errors := call(t, nil, "", "schema", "site")
	if code != exitOK || errors != "" || !json.Valid([]byte(out)) || !strings.Contains(out, `"https://json-schema.org/draft/2020-12/schema"`) {
		t.Errorf("site: code %d, %s%s", code, out, errors)
	}
	code, out, errors = call(t, nil, "", "schema", "webconfig")
	var any struct{ XMLName xml.Name }
	if err := xml.Unmarshal([]byte(out), &any); code != exitOK || errors != "" || err != nil || any.XMLName.Local != "schema" {
		t.Errorf("webconfig: code %d, %v, %s%s", code, err, out, errors)
	}
	if code, out, errors = call(t, nil, "", "schema", "host"); code != exitUsage || out != "" || !strings.Contains(errors, `unknown command "host" for "ancora schema"`) {
		t.Errorf("host: code %d, %s%s", code, out, errors)
	}
}
