package scenario

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

const javaApp = `import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
public class Shop {
    public static void main(String[] args) throws Exception {
        int port = Integer.getInteger("server.port", 0);
        if (port == 0) port = Integer.parseInt(System.getenv("PORT"));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.createContext("/", x -> {
            byte[] body = ("java " + ProcessHandle.current().pid()).getBytes();
            x.sendResponseHeaders(200, body.length);
            x.getResponseBody().write(body);
            x.close();
        });
        server.start();
    }
}
`

// A Java application runs from a web.config with httpPlatform as App Service for Windows had it, and from a site file as a folder that
// has neither is told to write one.
func TestServeJava(t *testing.T) {
	javac, err := exec.LookPath("javac")
	if err != nil {
		t.Skip("javac is not on PATH")
	}
	if javac, err = filepath.EvalSymlinks(javac); err != nil { // a link may stand where the application's user cannot go
		t.Fatal(err)
	}
	onPath(t, javac)
	tools, dir := filepath.Dir(javac), lab.Dir(t)
	root, source := lab.Folder(t, dir, "shop", nil), lab.Folder(t, dir, "source", map[string]string{"Shop.java": javaApp})
	for _, c := range [][]string{
		{javac, "-d", source, source + "/Shop.java"},
		{tools + "/jar", "--create", "--file", root + "/shop.jar", "--main-class", "Shop", "-C", source, "."},
	} {
		if r := lab.Run(t, nil, c[0], c[1:]...); r.Code != 0 {
			t.Fatal(r.Out, r.Errors)
		}
	}
	if out := checked(t, 1, nil, root); !strings.Contains(out, "It looks like an application of Java (shop.jar): write command: [java, -jar, shop.jar] in its site file") {
		t.Error(out)
	}
	answers := func(by string) {
		t.Helper()
		checked(t, 0, []string{"note starts " + tools + "/java "}, root)
		s := serve(t, lab.Dir(t), root)
		a := lab.Get(t, s.address, "/")
		if running := instances(t, s.dir+"/data"); a.Status != 200 || len(running) != 1 || !strings.HasPrefix(a.Body, "java ") {
			t.Errorf("%d %s, processes %v\n%s", a.Status, a.Body, running, s.Log())
		}
		s.says(t, "program chosen", by)
		s.Stop(t)
		if left := instances(t, s.dir+"/data"); len(left) > 0 {
			t.Errorf("processes %v are left", left)
		}
	}
	site := lab.Folder(t, root, ".ancora", map[string]string{
		"site.yaml": "apiVersion: ancora/v1\nkind: Site\nname: shop\nplacement: {hosts: all}\nbindings: [{listener: http}]\n" +
			"applications: [{profile: generic, command: [java, -jar, shop.jar]}]\n",
	})
	answers(`by="command of the site"`)
	if err := os.RemoveAll(site); err != nil {
		t.Fatal(err)
	}
	lab.Write(t, root, "web.config", `<configuration><system.webServer>
<handlers><add name="httpPlatformHandler" path="*" verb="*" modules="httpPlatformHandler" resourceType="Unspecified" /></handlers>
<httpPlatform processPath="%JAVA_HOME%\bin\java.exe" arguments="-Djava.net.preferIPv4Stack=true -Dserver.port=%HTTP_PLATFORM_PORT% -jar &quot;%HOME%\site\wwwroot\shop.jar&quot;" />
</system.webServer></configuration>`)
	answers(`by="httpPlatform of web.config"`)
}
