package rows

import (
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// besides puts sections beside aspNetCore.
func besides(config, sections string) string {
	return strings.Replace(config, "</aspNetCore>", "</aspNetCore>"+sections, 1)
}

// What other sections of web.config change for the application and its visitors.
func TestRules(t *testing.T) {
	t.Parallel()
	const upgrades = `var app = WebApplication.CreateBuilder(args).Build();
app.MapGet("/", () => "up");
app.MapGet("/upgrade", (HttpContext c) => $"{c.Features.Get<Microsoft.AspNetCore.Http.Features.IHttpUpgradeFeature>()?.IsUpgradableRequest == true} {Environment.GetEnvironmentVariable("ASPNETCORE_IIS_WEBSOCKETS_SUPPORTED")}");
app.Run();`
	const off = `<webSocket enabled="false" />`
	handshake := []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
	row(t, "B19 webSocket on and off", func(r *recorder) {
		s := serve(r, compile(r, upgrades, appConfig("", "")))
		want(r, "on", s.get("/upgrade", handshake...).body, "True true")
		s = serve(r, compile(r, upgrades, besides(appConfig("", ""), off)))
		want(r, "off", s.get("/upgrade", handshake...).body, "False false")
	})
	row(t, "J04 an upgrade where webSocket is off", func(r *recorder) {
		s := serve(r, publish(r, "probe", besides(webConfig(`processPath="dotnet" arguments=".\Probe.dll"`+outOfProcess, ""), off)))
		a := s.get("/ws", handshake...)
		if a.status == 101 || a.status >= 500 || a.header.Get("Upgrade") != "" || strings.EqualFold(a.header.Get("Connection"), "upgrade") {
			r.Errorf("%v %v", a, a.header)
		}
		want(r, "it still serves", s.get("/").status, 200)
	})
	row(t, "C23 TLS and a certificate are required", func(r *recorder) {
		folder := child(r, "", outOfProcess, "")
		lab.Write(r, folder, "web.config", besides(webConfig(`processPath=".\childapp"`+outOfProcess, ""), `<security><access sslFlags="Ssl, SslRequireCert" /></security>`))
		s := serve(r, folder, "--trusted-proxy", "127.0.0.1/32")
		want(r, "without TLS", s.get("/").code(), "403.4")
		want(r, "without a certificate", s.get("/", "X-Forwarded-Proto: https").code(), "403.7")
		want(r, "processes", len(s.instances()), 0)
	})
	row(t, "E08 the page of 502.3 where that of a failed start is off", func(r *recorder) {
		for _, program := range []string{`processPath="bogus"`, `processPath=".\childapp" arguments="-exit 3"`} {
			folder := child(r, "", outOfProcess, "")
			lab.Write(r, folder, "web.config", besides(webConfig(program+` disableStartUpErrorPage="true"`+outOfProcess, ""),
				`<httpErrors errorMode="Custom"><remove statusCode="502" /><error statusCode="502" path="any.html" /><error statusCode="502" subStatusCode="3" path="pages\three.html" /></httpErrors>`))
			lab.Folder(r, folder, "pages", map[string]string{"three.html": "custom page"})
			s := serve(r, folder)
			a := s.get("/")
			want(r, "status", a.status, 502)
			want(r, "body", a.body, "custom page")
			s.Stop(r)
		}
	})
}
