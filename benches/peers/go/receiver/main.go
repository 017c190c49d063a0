// A receiver as one would write it by hand: net/http, Flux's Event, and SQLite or nothing to store in.
//
// usage: receiver KEY [DATABASE]; with a database an event is stored in it before it is answered: whatever
// waits is stored together, and synced to the disk once.
package main

import (
	"database/sql"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	_ "github.com/mattn/go-sqlite3"

	"gitops-brain-peers/event"
)

const atOnce = 1024

type submission struct {
	cluster string
	body    []byte
	now     time.Time
	stored  chan error
}

func main() {
	key := []byte(os.Args[1])
	var journal chan submission
	if len(os.Args) > 2 {
		journal = make(chan submission, atOnce)
		database, err := open(os.Args[2])
		if err != nil {
			log.Fatal(err)
		}
		go write(database, journal)
	}
	var mutex sync.Mutex
	states := event.States{}
	http.HandleFunc("POST /v1/events/{cluster}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 3<<20))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if err := event.Verify(key, body, r.Header.Get("X-Signature")); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		cluster, now := r.PathValue("cluster"), time.Now()
		observed, err := event.Observe(cluster, body, now)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if journal != nil {
			one := submission{cluster, body, now, make(chan error, 1)}
			journal <- one
			if err := <-one.stored; err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
		}
		mutex.Lock()
		states.Apply(observed)
		mutex.Unlock()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, `{"result":"accepted","code":null}`)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}

// open makes a database whose commits are on the disk when they return.
func open(path string) (*sql.DB, error) {
	database, err := sql.Open("sqlite3", "file:"+path+"?_journal_mode=WAL&_synchronous=FULL")
	if err != nil {
		return nil, err
	}
	database.SetMaxOpenConns(1)
	_, err = database.Exec("CREATE TABLE IF NOT EXISTS events " +
		"(position INTEGER PRIMARY KEY, received INTEGER, cluster TEXT, body BLOB)")
	return database, err
}

// write stores all that waits in one transaction, and tells each whether it is stored.
func write(database *sql.DB, journal <-chan submission) {
	for first := range journal {
		batch := []submission{first}
		for waiting := len(journal); waiting > 0 && len(batch) < atOnce; waiting-- {
			batch = append(batch, <-journal)
		}
		err := store(database, batch)
		for _, one := range batch {
			one.stored <- err
		}
	}
}

func store(database *sql.DB, batch []submission) error {
	transaction, err := database.Begin()
	if err != nil {
		return err
	}
	defer transaction.Rollback()
	insert, err := transaction.Prepare("INSERT INTO events (received, cluster, body) VALUES (?, ?, ?)")
	if err != nil {
		return err
	}
	defer insert.Close()
	for _, one := range batch {
		if _, err := insert.Exec(one.now.UnixMilli(), one.cluster, one.body); err != nil {
			return err
		}
	}
	return transaction.Commit()
}
