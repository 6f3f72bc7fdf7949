package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/secure/securetest"
)

// The peers at their best: two workers or threads as ancora has two processors, connections to the instance kept for ever
// and more of them than clients, no log, the same fields added, the same certificate and cipher.

const nginxConf = `
daemon off; master_process on; worker_processes 2; pid %[1]s/nginx.pid; error_log stderr error;
worker_rlimit_nofile 65536;
events { worker_connections 16384; multi_accept on; }
http {
  access_log off; server_tokens off; tcp_nodelay on; keepalive_timeout 3600s; keepalive_requests 1000000000;
  client_body_temp_path %[1]s/nginx-body; proxy_temp_path %[1]s/nginx-proxy; fastcgi_temp_path %[1]s/nginx-f; uwsgi_temp_path %[1]s/nginx-u; scgi_temp_path %[1]s/nginx-s;
  proxy_http_version 1.1; proxy_buffers 16 16k; proxy_buffer_size 16k;
  proxy_set_header Connection ""; proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header MS-ASPNETCORE-TOKEN 0123456789abcdef0123456789abcdef;
  upstream tcp { server 127.0.0.1:%[4]s; keepalive 1024; keepalive_requests 1000000000; keepalive_timeout 3600s; }
  %[5]s
  ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/key.pem; ssl_protocols TLSv1.3; ssl_session_tickets on;
  ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
  server {
    listen 127.0.0.1:%[2]d reuseport backlog=4096;
    listen 127.0.0.1:%[3]d ssl http2 reuseport backlog=4096;
    http2_max_requests 1000000000;
    server_name bench.test;
    location / { proxy_pass http://tcp; }
    %[6]s
  }
}
`

func (b *bench) startNginx() (*contender, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	upstream, location := "", ""
	if u := b.instances["/unix"]; u != nil {
		upstream = "upstream unix { server unix:" + u.where + "; keepalive 1024; keepalive_requests 1000000000; keepalive_timeout 3600s; }"
		location = "location /unix/ { proxy_pass http://unix; }"
	}
	conf := fmt.Sprintf(nginxConf, b.dir, ports[0], ports[1], b.instances[""].where, upstream, location)
	if os.Geteuid() == 0 {
		conf = "user root;" + conf
	}
	file, err := b.write("nginx.conf", conf)
	if err != nil {
		return nil, err
	}
	c := &contender{name: "nginx", plain: fmt.Sprintf("127.0.0.1:%d", ports[0])}
	if c.program, err = b.startPeer("nginx", c.plain, "-c", file, "-p", b.dir); err != nil {
		return nil, err
	}
	c.tls, c.version = fmt.Sprintf("127.0.0.1:%d", ports[1]), firstLine("nginx", "-v")
	return c, nil
}

const haproxyConf = `
global
  nbthread 2
  maxconn 8000
  tune.bufsize 16384
  ssl-default-bind-options ssl-min-ver TLSv1.3
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
defaults
  mode http
  option http-keep-alive
  option forwardfor
  http-reuse always
  timeout connect 5s
  timeout client 3600s
  timeout server 3600s
  timeout http-keep-alive 3600s
frontend plain
  bind 127.0.0.1:%[2]d
  bind 127.0.0.1:%[3]d ssl crt %[1]s/both.pem alpn h2,http/1.1
  http-request set-header X-Forwarded-Proto https if { ssl_fc }
  http-request set-header X-Forwarded-Proto http if !{ ssl_fc }
  http-request set-header MS-ASPNETCORE-TOKEN 0123456789abcdef0123456789abcdef
  %[6]s
  default_backend tcp
backend tcp
  server instance 127.0.0.1:%[4]s pool-max-conn 2000 pool-purge-delay 3600s
%[5]s
`

func (b *bench) startHAProxy() (*contender, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	backend, use := "", ""
	if u := b.instances["/unix"]; u != nil {
		backend = "backend unix\n  server instance unix@" + u.where + " pool-max-conn 2000 pool-purge-delay 3600s\n"
		use = "use_backend unix if { path_beg /unix/ }"
	}
	file, err := b.write("haproxy.cfg", fmt.Sprintf(haproxyConf, b.dir, ports[0], ports[1], b.instances[""].where, backend, use))
	if err != nil {
		return nil, err
	}
	c := &contender{name: "haproxy", plain: fmt.Sprintf("127.0.0.1:%d", ports[0])}
	if c.program, err = b.startPeer("haproxy", c.plain, "-db", "-f", file); err != nil {
		return nil, err
	}
	c.tls, c.version = fmt.Sprintf("127.0.0.1:%d", ports[1]), firstLine("haproxy", "-v")
	return c, nil
}

const caddyConf = `
{
  admin off
  auto_https off
  log {
    level ERROR
  }
}
http://:%[2]d {
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:%[3]s {
    header_up MS-ASPNETCORE-TOKEN 0123456789abcdef0123456789abcdef
    transport http {
      keepalive_idle_conns_per_host 2000
    }
  }
}
`

// startCaddy is for orientation: plain HTTP/1.1 over TCP only.
func (b *bench) startCaddy() (*contender, error) {
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	file, err := b.write("Caddyfile", fmt.Sprintf(caddyConf, b.dir, ports[0], b.instances[""].where))
	if err != nil {
		return nil, err
	}
	c := &contender{name: "caddy", plain: fmt.Sprintf("127.0.0.1:%d", ports[0])}
	if c.program, err = b.startPeer("caddy", c.plain, "run", "--config", file, "--adapter", "caddyfile"); err != nil {
		return nil, err
	}
	c.version = "caddy " + firstLine("caddy", "version")
	return c, nil
}

func firstLine(program string, args ...string) string {
	out, _ := exec.Command(program, args...).CombinedOutput()
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line)
}

// certificate writes the one that all contenders serve.
func (b *bench) certificate() error {
	cert, key, err := securetest.SelfSigned(hostname)
	_, err1 := b.write("cert.pem", string(cert))
	_, err2 := b.write("key.pem", string(key))
	_, err3 := b.write("both.pem", string(cert)+string(key))
	return errors.Join(err, err1, err2, err3)
}
