package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/controlplane/store"
	"github.com/ancora-fleet/ancora/controlplane/store/storetest"
)

func TestStartQuick(t *testing.T) {
	start := time.Now()
	s := storetest.New(t)
	t.Log("ready after", time.Since(start), s.View().Revision, s.View().StoreID)
	_ = errors.New
	_ = context.Background
	_ = store.ErrStale
}
