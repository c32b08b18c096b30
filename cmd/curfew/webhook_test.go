// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/fake"
)

// Webhooks and the log tell of the same acts while the process is killed again and again. What was answered with success
// is an event, also where the log never tells of it, and each act is one event with one decision.
func TestWebhooksSurviveKills(t *testing.T) {
	const acts, kills = 300, 6
	okta := fake.NewOkta(fake.OktaConfig{Token: "token"})
	server := httptest.NewServer(okta)
	defer server.Close()
	p := &process{dir: t.TempDir(), api: freePort(t), events: acts}
	hooks := freePort(t)
	p.configure(t, server.URL, fmt.Sprintf("webhooks: {listen: %q}", hooks))
	path := filepath.Join(p.dir, "curfew.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(text, []byte("interval: 50ms"), []byte("interval: 50ms, hook_secret: {env: TEST_OKTA_TOKEN}"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	start := func() {
		p.start(t)
		for range 1000 {
			if connection, err := net.Dial("tcp", hooks); err == nil {
				_ = connection.Close() // it was there to see whether anybody listens
				return
			}
			<-time.After(10 * time.Millisecond)
		}
		t.Fatalf("nobody takes webhooks\n%s", p.output.String())
	}
	start()

	random := rand.New(rand.NewPCG(5, 5))
	client := &http.Client{Timeout: 2 * time.Second}
	deliver := func(id string, records ...[]byte) bool {
		d := fake.OktaDelivery{EventID: id, At: time.Now(), Secret: "token", Records: records}.Delivery()
		r, err := http.NewRequestWithContext(t.Context(), d.Method, "http://"+hooks+"/webhook/okta", bytes.NewReader(d.Body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = d.Header
		response, err := client.Do(r)
		if err != nil {
			return false // nobody there, or killed before it answered
		}
		_ = response.Body.Close() // nothing is in it
		return response.StatusCode == http.StatusNoContent
	}
	answered := 0
	for i := range acts {
		record := []byte(fake.OktaEvent{Seed: 4, Number: uint64(i), Published: time.Now(), Actor: fake.OktaPerson("anna.berg")}.JSON())
		if i%(acts/kills) == acts/kills-1 {
			// In the middle of deliveries.
			go func() { deliver(fmt.Sprint("killed", i), record) }()
			<-time.After(time.Duration(random.IntN(8)) * time.Millisecond)
			p.kill(t)
			start()
		}
		told := false
		for try := 0; try < 2 && !told && random.IntN(4) > 0; try++ { // the vendor tries twice at most
			told = deliver(fmt.Sprint("event", i), record)
		}
		if told {
			answered++
		}
		// The log tells of what no webhook brought, and of some of what one did.
		if !told || random.IntN(2) == 0 {
			okta.Add(record)
		}
	}
	okta.Settle()
	p.wait(t)
	p.stop(t)
	if answered < acts/10 {
		t.Errorf("%d of %d webhooks were answered with success: too few to tell\n%s", answered, acts, p.output.String())
	}
	if got := p.count(t); got != [2]int{acts, acts} {
		t.Errorf("got %d events and %d decisions, want %d of each, once each", got[0], got[1], acts)
	}
	if strings.Contains(p.output.String(), "webhook refused") {
		t.Errorf("a webhook was refused:\n%s", p.output.String())
	}
}
