package scenario

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// A server's configuration, exported by IIS, becomes site files that a fleet serves: folders are mapped, the pool's
// environment arrives, and web.config in the folder says what is started.
func TestImportFromIIS(t *testing.T) {
	f := lab.NewFleet(t)
	f.Join("web1", "role=web")
	for name, word := range map[string]string{"Shop": "the shop", "Shop.Api": "the api"} {
		folder := lab.Folder(t, f.Dir, "sites/"+name, map[string]string{"web.config": `<configuration><system.webServer>
<handlers><add name="h" path="*" verb="*" modules="AspNetCoreModuleV2"/></handlers>
<aspNetCore hostingModel="outofprocess" processPath=".\childapp.exe" arguments="--say &quot;` + word + `&quot;"/></system.webServer></configuration>`})
		if err := lab.CopyProgram(lab.Bin(t, "childapp"), filepath.Join(folder, "childapp")); err != nil {
			t.Fatal(err)
		}
	}
	export := lab.Folder(t, f.Dir, "export", map[string]string{"administration.config": "x", "configEncKey.key": "x", "applicationHost.config": `<?xml version="1.0" encoding="UTF-8"?>
<configuration>
  <system.applicationHost>
    <applicationPools>
      <add name="ShopPool" startMode="AlwaysRunning">
        <processModel userName="CORP\shop" password="[enc:AesProvider:bm90IGEgc2VjcmV0:enc]" idleTimeout="00:20:00" />
        <environmentVariables>
          <add name="Shop__Region" value="north" />
          <add name="Shop__Secret" value="[enc:AesProvider:bm90IGEgc2VjcmV0:enc]" />
        </environmentVariables>
      </add>
    </applicationPools>
    <sites>
      <site name="My Shop" id="1">
        <application path="/" applicationPool="ShopPool">
          <virtualDirectory path="/" physicalPath="D:\WebSites\Shop" />
        </application>
        <application path="/api" applicationPool="ShopPool">
          <virtualDirectory path="/" physicalPath="d:\websites\Shop.Api" />
        </application>
        <bindings>
          <binding protocol="http" bindingInformation="*:80:shop.example.com" />
        </bindings>
      </site>
    </sites>
  </system.applicationHost>
</configuration>`})
	out, report := filepath.Join(f.Dir, "imported")+"/", filepath.Join(f.Dir, "report.txt")
	if r := f.CLI("import", export, "--out", out); r.Code != 2 || !strings.Contains(r.Errors, `--map 'D:\WebSites=`) {
		t.Errorf("without a map: %d %s", r.Code, r.Errors)
	}
	f.Must("import", export, "--map", `D:\WebSites=`+f.Dir+"/sites", "--hosts", "role=web", "--out", out, "--report", report)
	text := read(t, report)
	for _, says := range []string{"Shop__Secret is encrypted", `userName="CORP\shop"`, "idleTimeout 20 minutes", "periodicRestart time 1740 minutes", "not needed: administration.config, configEncKey.key"} {
		if !strings.Contains(text, says) {
			t.Errorf("the report lacks %q:\n%s", says, text)
		}
	}
	if file := read(t, out+"my-shop.yaml"); strings.Contains(file+text, "bm90") {
		t.Errorf("an encrypted value is passed on:\n%s%s", file, text)
	}
	if said := f.Must("apply", "-f", out, "--wait"); !strings.Contains(said, "1 of 1 host good") {
		t.Errorf("apply says:\n%s", said)
	}
	for path, want := range map[string]string{"/": "the shop", "/api/": "the api", "/api/env": "Shop__Region=north"} {
		a, err := lab.Try(f.Hosts["web1"].Address, path, "shop.example.com")
		if err != nil || a.Status != 200 || !strings.Contains(a.Body, want) {
			t.Errorf("%s: %v %d %q", path, err, a.Status, a.Body)
		}
		if strings.Contains(a.Body, "Shop__Secret") {
			t.Errorf("%s: a variable that could not be read is set", path)
		}
	}
	if a, err := lab.Try(f.Hosts["web1"].Address, "/", "other.example.com"); err != nil || a.Status != 404 {
		t.Errorf("another hostname: %v %d", err, a.Status)
	}
	if _, err := os.Stat(filepath.Join(export, "my-shop.yaml")); err == nil {
		t.Error("something was written into the export")
	}
}

// Published .NET folders come over from IIS as they are: two of them as applications of one site, one by its web.config.
func TestDotnetImport(t *testing.T) {
	apps := filepath.Join(lab.Dotnet(t), "apps")
	f := lab.NewFleet(t)
	f.Join("web1", "role=web")
	config := lab.Write(t, f.Dir, "applicationHost.config", `<configuration><system.applicationHost>
<applicationPools><add name="DefaultAppPool"/><applicationPoolDefaults managedRuntimeVersion="v4.0"/></applicationPools>
<sites>
<site name="Default Web Site" id="1">
<application path="/"><virtualDirectory path="/" physicalPath="%SystemDrive%\inetpub\probe-win"/></application>
<application path="/old"><virtualDirectory path="/" physicalPath="%SystemDrive%\inetpub\probe"/></application>
<bindings><binding protocol="http" bindingInformation="*:80:iis.example.com"/></bindings></site>
<applicationDefaults applicationPool="DefaultAppPool"/></sites>
</system.applicationHost></configuration>`)
	whole, one := filepath.Join(f.Dir, "whole.yaml"), filepath.Join(f.Dir, "one.yaml")
	f.Must("import", config, "--map", `c:\INETPUB=`+apps, "--out", whole)
	f.Must("import", filepath.Join(apps, "classic", "web.config"), "--out", one)
	if out := f.Must("apply", "-f", whole, "-f", one, "--wait"); strings.Count(out, "1 of 1 host good") != 2 {
		t.Errorf("apply says:\n%s", out)
	}
	for _, c := range []struct{ host, path string }{{"iis.example.com", "/"}, {"iis.example.com", "/old"}, {"any.example.com", "/"}} {
		if a, err := lab.Try(f.Hosts["web1"].Address, c.path, c.host); err != nil || a.Status != 200 {
			t.Errorf("%s%s: %v %d %s", c.host, c.path, err, a.Status, a.Body)
		}
	}
}
