// SPDX-License-Identifier: AGPL-3.0-only
#include "common/ipc/grpc_life.h"

#include <grpc/grpc.h>

#include <cstdlib>

#include "absl/synchronization/mutex.h"

namespace auspex {
namespace {

constexpr const char* kPolling = "GRPC_POLL_STRATEGY";

bool StartGrpc() {
  // Debian builds abseil with its search for deadlocks, which looks at every lock and unlock of gRPC's.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  // gRPC's usual choice has one epoll set a process: whichever thread polls takes the events of all servers and channels and then
  // wakes the thread that they are for. With poll(2) each thread waits for its own few connections.
  const bool chosen = std::getenv(kPolling) != nullptr;
  if (!chosen) ::setenv(kPolling, "poll", 0);
  grpc_init();
  if (!chosen) ::unsetenv(kPolling);  // not for the programs that we start
  return true;
}

}  // namespace

void KeepGrpc() { [[maybe_unused]] static const bool started = StartGrpc(); }

}  // namespace auspex
