package iisconfig

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ancora-fleet/ancora/dataplane/sitefile"
)

// The examples of the published reference of applicationHost.config, named after their pages and in a whole file each, become the
// site files beside them, which are read as what was written. What they set and no site file can say is told.
func TestDocumented(t *testing.T) {
	told := map[string][]string{
		"adding-application-pools":   {`identityType="NetworkService"`, "startupTimeLimit 30 seconds", `logEventOnRecycle="Schedule"`},
		"application-defaults":       {},
		"application-initialization": {"idleTimeout 20 minutes"},
		"application-pool-defaults":  {`identityType="ApplicationPoolIdentity"`, "periodicRestart requests 200"},
		"applicationhost":            {"centralBinaryLogFile", "listenerAdapters", "customMetadata"},
		"binding":                    {`listeners: {http-192-168-0-1-80: "192.168.0.1:80"}`, "certificate store of Windows"},
		"cpu":                        {`cpu/limit="50000"`, `cpu/action="KillW3wp"`, `cpu/resetInterval="00:10:00"`},
		"hsts":                       {`hsts/max-age="31536000"`, `hsts/includeSubDomains="true"`, "hsts redirectHttpToHttps"},
		"limits":                     {`limits/maxBandwidth="65536"`, `limits/maxConnections="1024"`, `limits/connectionTimeout="00:01:00"`},
		"pool-defaults":              {"idleTimeout 20 minutes", "periodicRestart time 1740 minutes"},
		"sites":                      {"logFormat \"W3C\"", "traceFailedRequestsLogging/directory"},
		"virtual-directory":          {`virtual directory /Images of application /CRM (E:\Images)`},
	}
	files, err := filepath.Glob("testdata/documented/*.config")
	if err != nil || len(files) != len(told) {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			result, err := Read(file, content, options(t, `C:\Contoso\Content=/srv/contoso`, `C:\inetpub=/srv`))
			if err != nil {
				t.Fatal(err)
			}
			text := documents(result)
			report := fmt.Sprint(result.Sites, result.Server)
			for _, words := range told[strings.TrimSuffix(filepath.Base(file), ".config")] {
				if !strings.Contains(report, words) {
					t.Errorf("no %q in %s", words, report)
				}
			}
			want, err := os.ReadFile(strings.TrimSuffix(file, ".config") + ".yaml")
			if diff := cmp.Diff(string(want), string(text)); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
			again, err := sitefile.Parse("again", text)
			if err != nil || len(again) != 1 || len(result.Sites) != 1 {
				t.Fatal(again, err)
			}
			if diff := cmp.Diff(result.Sites[0].Site, again[0], cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
