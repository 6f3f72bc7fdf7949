package launch

import (
	"hash/crc32"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/webconfig"
)

// iisVersion is that of every Windows since 2016.
const iisVersion = "10.0"

// iisVariables are those by which an application under IIS knows where it is (ENV-10 to ENV-16), if the site asks for them.
// The application pool is the site's, its file the web.config; the number of the site comes from its name, as IIS makes it.
func iisVariables(in Input) map[string]string {
	a := in.Application
	if !a.IISEnvironment {
		return nil
	}
	below := strings.TrimSuffix(a.Path, "/")
	id := strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(strings.ToLower(in.Site)))&0x7fffffff|1), 10)
	config := filepath.Join(in.Root, "web.config")
	if in.Config != nil && in.Config.File != "" {
		config = in.Config.File
	}
	return map[string]string{
		"ASPNETCORE_IIS_VERSION":                  iisVersion,
		"ASPNETCORE_IIS_APP_POOL_ID":              in.Site,
		"ASPNETCORE_IIS_APP_POOL_CONFIG_FILE":     config,
		"ASPNETCORE_IIS_SITE_NAME":                in.Site,
		"ASPNETCORE_IIS_SITE_ID":                  id,
		"ASPNETCORE_IIS_APP_CONFIG_PATH":          "MACHINE/WEBROOT/APPHOST/" + in.Site + below,
		"ASPNETCORE_IIS_APPLICATION_ID":           "/LM/W3SVC/" + id + "/ROOT" + below,
		"ASPNETCORE_IIS_APPLICATION_VIRTUAL_PATH": a.Path,
	}
}

// placeholder warns of a program that has no way to learn its port from its web.config: PORT it must know by itself then.
func (p *Plan) placeholder(in Input) {
	c := in.Config
	if c == nil || c.Section != "httpPlatform" || len(in.Application.Command) > 0 || c.Arguments != withPort(c.Arguments, 1) {
		return
	}
	for _, v := range p.env {
		if v.Value != withPort(v.Value, 1) {
			return
		}
	}
	at := c.Places["processPath"]
	p.Notes = append(p.Notes, webconfig.Note{
		Kind: webconfig.Warning, Line: at.Line, Column: at.Column,
		Text: "neither arguments nor a variable has %HTTP_PLATFORM_PORT%: the program learns its port by PORT and HTTP_PLATFORM_PORT alone",
	})
}
