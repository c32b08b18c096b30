// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package email_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/mail"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// server is an SMTP server that keeps what it takes: https://www.rfc-editor.org/rfc/rfc5321.
type server struct {
	t       *testing.T
	tls     *tls.Config // nil: no STARTTLS
	answers map[string]string
	// drop is the command after which the connection breaks, hang the one that is never answered, and "." the mail's end.
	drop, hang string
	hung       chan struct{}

	mu    sync.Mutex
	mails []taken
	// ended is how many mails' ends came, taken or not.
	ended int
	auth  []string
}

// taken is a mail with its envelope.
type taken struct {
	to   []string
	mail *mail.Message
	body string
	raw  string
}

// serve returns the server's port on this machine.
func (s *server) serve(t *testing.T) int {
	t.Helper()
	s.t = t
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		running.Wait()
	})
	running.Go(func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { s.talk(connection) })
		}
	})
	return portOf(t, listener)
}

func portOf(t *testing.T, listener net.Listener) int {
	t.Helper()
	_, text, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func (s *server) talk(connection net.Conn) {
	defer func() { _ = connection.Close() }()
	reader := bufio.NewReader(connection)
	say := func(command, otherwise string) bool {
		if s.hang == command {
			if s.hung != nil {
				close(s.hung)
			}
			_, _ = io.Copy(io.Discard, reader) // until the client gives up
			return false
		}
		if s.drop == command {
			return false
		}
		if answer := s.answers[command]; answer != "" {
			otherwise = answer
		}
		fmt.Fprintf(connection, "%s\r\n", otherwise)
		return true
	}
	encrypted := false
	var to []string
	for ok := say("greeting", "220 mail.example.com"); ok; {
		line, err := reader.ReadString('\n')
		if err != nil {
			return
		}
		command, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch command = strings.ToUpper(command); command {
		case "EHLO":
			offer := "250-mail.example.com\r\n"
			if s.tls != nil && !encrypted {
				offer += "250-STARTTLS\r\n"
			}
			ok = say(command, offer+"250 AUTH PLAIN")
		case "STARTTLS":
			if ok = say(command, "220 go"); ok {
				upgraded := tls.Server(connection, s.tls)
				connection, reader, encrypted = upgraded, bufio.NewReader(upgraded), true
			}
		case "AUTH":
			s.mu.Lock()
			s.auth = append(s.auth, fmt.Sprint(encrypted, " ", rest))
			s.mu.Unlock()
			ok = say(command, "235 welcome")
		case "RCPT":
			to = append(to, strings.Trim(strings.TrimPrefix(rest, "TO:"), "<>"))
			ok = say(command, "250 ok")
		case "DATA":
			if ok = say(command, "354 go on"); ok && s.answers[command] == "" {
				ok = s.take(reader, to) && say(".", "250 taken")
				to = nil
			}
		case "QUIT":
			say(command, "221 bye")
			return
		default:
			ok = say(command, "250 ok")
		}
	}
}

// take reads a mail to its end, and keeps it if it will be said yes to.
func (s *server) take(reader *bufio.Reader, to []string) bool {
	var raw strings.Builder
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		raw.WriteString(strings.TrimPrefix(line, "."))
	}
	message, err := mail.ReadMessage(strings.NewReader(raw.String()))
	if err != nil {
		s.t.Errorf("read mail: %v", err)
		return false
	}
	body, err := io.ReadAll(message.Body)
	if err != nil {
		s.t.Errorf("read mail: %v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended++
	s.mails = append(s.mails, taken{to, message, string(body), raw.String()})
	return true
}

func (s *server) all() []taken {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mails
}
