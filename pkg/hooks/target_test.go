package hooks_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/kortwallet/kort/pkg/hooks"
	"github.com/kortwallet/kort/pkg/repository"
)

// Where a subscription may point to, as far as its URL alone tells.
func TestTargets(t *testing.T) {
	t.Parallel()
	strict, insecure := hooks.Targets{}, hooks.Targets{HTTP: true, Private: true}
	for url, want := range map[string]struct{ strict, insecure bool }{
		"https://shop.example/hooks?x=1":                    {true, true},
		"https://shop.example:8443":                         {true, true},
		"https://93.184.216.34/":                            {true, true},
		"https://[2606:2800:220:1::1]/":                     {true, true},
		"http://shop.example/":                              {false, true},
		"https://localhost/":                                {false, true},
		"https://LOCALHOST./":                               {false, true},
		"https://app.localhost/":                            {false, true},
		"https://printer.local/":                            {false, true},
		"https://db.internal/":                              {false, true},
		"https://nas.home.arpa/":                            {false, true},
		"https://intranet/":                                 {false, true},
		"https://127.0.0.1/":                                {false, true},
		"https://127.1.2.3:80/":                             {false, true},
		"https://0.0.0.0/":                                  {false, true},
		"https://10.0.0.1/":                                 {false, true},
		"https://172.16.5.4/":                               {false, true},
		"https://192.168.1.1/":                              {false, true},
		"https://100.64.0.1/":                               {false, true},
		"https://169.254.169.254/latest/":                   {false, true},
		"https://224.0.0.1/":                                {false, true},
		"https://255.255.255.255/":                          {false, true},
		"https://[::1]/":                                    {false, true},
		"https://[::]/":                                     {false, true},
		"https://[::ffff:127.0.0.1]/":                       {false, true},
		"https://[::ffff:7f00:1]/":                          {false, true},
		"https://[::127.0.0.1]/":                            {false, true},
		"https://[64:ff9b::7f00:1]/":                        {false, true},
		"https://[2002:7f00:1::]/":                          {false, true},
		"https://[fe80::1]/":                                {false, true},
		"https://[fd12:3456::1]/":                           {false, true},
		"https://[fe80::1%25eth0]/":                         {false, false},
		"https://2130706433/":                               {false, false},
		"https://0x7f000001/":                               {false, false},
		"https://0x7f.1/":                                   {false, false},
		"https://017700000001/":                             {false, false},
		"https://127.1/":                                    {false, false},
		"https://127.0.0.1.5/":                              {false, false},
		"https://user:pw@shop.example/":                     {false, false},
		"https://shop.example/#part":                        {false, false},
		"https://shop.example/#":                            {false, false},
		"https://shop.example:0/":                           {false, false},
		"https://shop.example:65536/":                       {false, false},
		"https://shop.example:/":                            {false, false},
		"https:///hooks":                                    {false, false},
		"https:shop.example":                                {false, false},
		"//shop.example/":                                   {false, false},
		"/hooks":                                            {false, false},
		"":                                                  {false, false},
		"ftp://shop.example/":                               {false, false},
		"file:///etc/passwd":                                {false, false},
		"https://shop.example/a b":                          {false, false},
		"https://shop.example/\r\nX: y":                     {false, false},
		"https://１２７.0.0.1/":                                {false, false},
		"https://bücher.example/":                           {false, false},
		"https://shop.example/" + strings.Repeat("x", 2048): {false, false},
	} {
		if reason := strict.Check(url); (reason == "") != want.strict {
			t.Errorf("%q: %q, allowed should be %t", url, reason, want.strict)
		}
		if reason := insecure.Check(url); (reason == "") != want.insecure {
			t.Errorf("with all that is allowed, %q: %q, allowed should be %t", url, reason, want.insecure)
		}
	}
}

// An address that is dialled is looked at itself.
func TestDial(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"93.184.216.34:443": true, "[2606:2800:220:1::1]:443": true,
		"127.0.0.1:443": false, "[::1]:443": false, "169.254.169.254:80": false, "10.1.2.3:443": false, "0.0.0.0:443": false,
		"[::ffff:127.0.0.1]:443": false, "[::ffff:10.0.0.1]:443": false, "[fe80::1%eth0]:443": false, "192.168.0.1:443": false,
		"[64:ff9b::a9fe:a9fe]:80": false, "100.100.100.200:80": false, "no address": false,
	} {
		if err := hooks.Dial(hooks.Targets{}, address); (err == nil) != want {
			t.Errorf("%s: %v, allowed should be %t", address, err, want)
		}
		if err := hooks.Dial(hooks.Targets{Private: true}, address); (err == nil) != (address != "no address") {
			t.Errorf("%s where all is allowed: %v", address, err)
		}
	}
}

// A name that means an address of this machine, however public it looked before, is not
// connected to.
func TestNameOfAPrivateAddress(t *testing.T) {
	o := local()
	o.Targets.Private, o.Attempts = false, 1
	o.Resolver = resolver(map[string][4]byte{"rebound.example.": {127, 0, 0, 1}})
	each(t, o, func(w *world) {
		called := newReceiver(w.t, func(http.ResponseWriter, *http.Request, int) { w.t.Error("the receiver was called") })
		_, port, err := net.SplitHostPort(called.Listener.Addr().String())
		if err != nil {
			w.t.Fatal(err)
		}
		for host, failure := range map[string]string{
			"rebound.example": "The host has an address that is not public.",
			"unknown.example": "The name of the host could not be resolved.",
		} {
			hook := w.subscribe("http://" + host + ":" + port)
			opening := w.card("card-"+uuid.NewString(), 1)
			txns, err := w.d.Transactions(context.Background(), account, opening.ID, 0, 1)
			if err != nil {
				w.t.Fatal(err)
			}
			dead := w.delivery(hook, txns[0].ID, func(d repository.HookDelivery) bool { return d.SettledAt != nil })
			if dead.Last.Failure != failure || dead.Last.Delivered {
				w.t.Errorf("%s: %+v", host, dead.Last)
			}
		}
		// An address in the URL is not connected to either, should it have been allowed once.
		hook := w.subscribe(called.URL)
		opening := w.card("card-"+uuid.NewString(), 1)
		dead := w.delivery(hook, opening.ID, func(d repository.HookDelivery) bool { return d.SettledAt != nil })
		if dead.Last.Failure != "The URL is not allowed: it must be on a public host." {
			w.t.Errorf("an address: %+v", dead.Last)
		}
	})
}

// resolver asks a name server within this process, which knows the names that are given.
func resolver(names map[string][4]byte) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go answerNames(server, names)
		return client, nil
	}}
}

// answerNames answers queries as over TCP: each with its length before it.
func answerNames(conn net.Conn, names map[string][4]byte) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience)) // of a pipe; it has them
	for {
		var length [2]byte
		if err := readFull(conn, length[:]); err != nil {
			return
		}
		query := make([]byte, int(length[0])<<8|int(length[1]))
		if err := readFull(conn, query); err != nil {
			return
		}
		answer, err := answerTo(query, names)
		if err != nil {
			return
		}
		if _, err := conn.Write(append([]byte{byte(len(answer) >> 8), byte(len(answer))}, answer...)); err != nil {
			return
		}
	}
}

func readFull(conn net.Conn, into []byte) error {
	for n := 0; n < len(into); {
		m, err := conn.Read(into[n:])
		if err != nil {
			return err
		}
		n += m
	}
	return nil
}

func answerTo(query []byte, names map[string][4]byte) ([]byte, error) {
	var message dnsmessage.Message
	if err := message.Unpack(query); err != nil {
		return nil, err
	}
	if len(message.Questions) == 0 {
		return nil, errors.New("no question")
	}
	question := message.Questions[0]
	message.Response, message.Additionals = true, nil
	address, known := names[question.Name.String()]
	switch {
	case !known:
		message.RCode = dnsmessage.RCodeNameError
	case question.Type == dnsmessage.TypeA:
		message.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: question.Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET},
			Body:   &dnsmessage.AResource{A: address},
		}}
	}
	return message.Pack()
}
