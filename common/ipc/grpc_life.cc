// SPDX-License-Identifier: AGPL-3.0-only
#include "common/ipc/grpc_life.h"

#include <grpc/grpc.h>

#include <cstdlib>

#include "absl/synchronization/mutex.h"

namespace auspex {
namespace {

bool StartGrpc() {
  // Debian builds abseil with its search for deadlocks, which looks at every lock and unlock of gRPC's.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  // gRPC's usual choice has one epoll set a process: whichever thread polls takes the events of all servers and channels and then
  // wakes the thread that they are for. With poll(2) each thread waits for its own few connections.
  // Nobody may choose otherwise: ReadTurns counts on it. It stays set, since gRPC looks at it again when it makes its next thread.
  ::setenv("GRPC_POLL_STRATEGY", "poll", 1);
  grpc_init();
  return true;
}

}  // namespace

void KeepGrpc() { [[maybe_unused]] static const bool started = StartGrpc(); }

}  // namespace auspex
