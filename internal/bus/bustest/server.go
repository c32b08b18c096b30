// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package bustest

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Cluster starts n real NATS servers on loopback, joined where there are several, and returns the URL that reaches them
// all and a function that stops one for good. They end with the test.
func Cluster(t testing.TB, n int) (address string, stop func(i int)) {
	t.Helper()
	routes := make([]*url.URL, n)
	ports := make([]int, n)
	for i := range routes {
		ports[i] = freePort(t)
		routes[i] = &url.URL{Scheme: "nats-route", Host: fmt.Sprintf("127.0.0.1:%d", ports[i])}
	}
	servers := make([]*server.Server, n)
	urls := make([]string, n)
	for i := range servers {
		options := &server.Options{
			ServerName: fmt.Sprintf("n%d", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: t.TempDir(), SyncAlways: true, JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 1 << 30,
		}
		if n > 1 {
			options.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: ports[i]}
			options.Routes = routes
		}
		s, err := server.NewServer(options)
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() {
			s.Shutdown()
			s.WaitForShutdown()
		})
		servers[i] = s
	}
	deadline := time.Now().Add(30 * time.Second)
	for i, s := range servers {
		if !s.ReadyForConnections(30 * time.Second) {
			t.Fatalf("server %d is not ready", i)
		}
		urls[i] = s.ClientURL()
	}
	for n > 1 && !hasLeader(servers) {
		if time.Now().After(deadline) {
			t.Fatal("the cluster has no leader")
		}
		<-time.After(50 * time.Millisecond)
	}
	return strings.Join(urls, ","), func(i int) {
		servers[i].Shutdown()
		servers[i].WaitForShutdown()
	}
}

// Restartable starts a real NATS server on loopback that keeps its port and what it stored on disk, and returns its URL and
// functions that stop it and start it again. It ends with the test.
func Restartable(t testing.TB) (address string, stop, start func()) {
	t.Helper()
	options := &server.Options{
		ServerName: "n", Host: "127.0.0.1", Port: freePort(t), NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: t.TempDir(), SyncAlways: true, JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 1 << 30,
	}
	var s *server.Server
	start = func() {
		t.Helper()
		var err error
		if s, err = server.NewServer(options.Clone()); err != nil {
			t.Fatal(err)
		}
		s.Start()
		if !s.ReadyForConnections(30 * time.Second) {
			t.Fatal("the server is not ready")
		}
	}
	stop = func() {
		s.Shutdown()
		s.WaitForShutdown()
	}
	start()
	t.Cleanup(func() { stop() })
	return fmt.Sprintf("nats://127.0.0.1:%d", options.Port), stop, start
}

// hasLeader is whether the servers have found each other and one leads.
func hasLeader(servers []*server.Server) bool {
	led := false
	for _, s := range servers {
		if len(s.JetStreamClusterPeers()) > 0 {
			led = led || s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == len(servers)
		}
	}
	return led
}

func freePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	address, _ := listener.Addr().(*net.TCPAddr)
	return address.Port
}
