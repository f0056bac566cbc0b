// SPDX-License-Identifier: AGPL-3.0-only
// In builds with ThreadSanitizer alone: tells it what Debian's gRPC, which was built without it, does to order its threads. Two kinds
// of hand-over are all that our code is called through and was not seen: abseil's locks, which are atomics and futexes and no
// pthread_mutex_t, and a tag that comes out of a completion queue. Each function here stands in a linker's --wrap (CMakeLists.txt)
// before the real one; what orders nothing in truth is told to order nothing.
#include <grpc/grpc.h>
#include <sanitizer/tsan_interface.h>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace {

using absl::CondVar;
using absl::Duration;
using absl::Mutex;
using absl::Time;

grpc_event Taken(const grpc_event& event) {
  if (event.type == GRPC_OP_COMPLETE) __tsan_acquire(event.tag);
  return event;
}

}  // namespace

// The linker's names for a function of a library and for the one that is called in its place. `debian3` is how Debian's abseil
// spells its own namespace.
#define AUSPEX_WRAPPED(result, name, ...)       \
  extern "C" result __real_##name(__VA_ARGS__); \
  extern "C" result __wrap_##name(__VA_ARGS__)

AUSPEX_WRAPPED(void, _ZN4absl7debian35Mutex4LockEv, Mutex* mutex) {
  __real__ZN4absl7debian35Mutex4LockEv(mutex);
  __tsan_acquire(mutex);
}

AUSPEX_WRAPPED(bool, _ZN4absl7debian35Mutex7TryLockEv, Mutex* mutex) {
  const bool locked = __real__ZN4absl7debian35Mutex7TryLockEv(mutex);
  if (locked) __tsan_acquire(mutex);
  return locked;
}

AUSPEX_WRAPPED(void, _ZN4absl7debian35Mutex6UnlockEv, Mutex* mutex) {
  __tsan_release(mutex);
  __real__ZN4absl7debian35Mutex6UnlockEv(mutex);
}

AUSPEX_WRAPPED(void, _ZN4absl7debian37CondVar4WaitEPNS0_5MutexE, CondVar* condition, Mutex* mutex) {
  __tsan_release(mutex);
  __real__ZN4absl7debian37CondVar4WaitEPNS0_5MutexE(condition, mutex);
  __tsan_acquire(mutex);
}

AUSPEX_WRAPPED(bool, _ZN4absl7debian37CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE,
               CondVar* condition, Mutex* mutex, Duration timeout) {
  __tsan_release(mutex);
  const bool timed_out =
      __real__ZN4absl7debian37CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE(condition, mutex,
                                                                                  timeout);
  __tsan_acquire(mutex);
  return timed_out;
}

AUSPEX_WRAPPED(bool, _ZN4absl7debian37CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE,
               CondVar* condition, Mutex* mutex, Time deadline) {
  __tsan_release(mutex);
  const bool timed_out = __real__ZN4absl7debian37CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE(
      condition, mutex, deadline);
  __tsan_acquire(mutex);
  return timed_out;
}

// grpc_cq_end_op(queue, tag, status, done, done_argument, storage, internal): a thread of gRPC's puts a tag into a queue. The status
// is handed over as the address of a temporary.
AUSPEX_WRAPPED(
    void,
    _Z14grpc_cq_end_opP21grpc_completion_queuePvN4absl7debian36StatusEPFvS1_P18grpc_cq_completionES1_S6_b,
    void* queue, void* tag, void* status, void* done, void* done_argument, void* storage,
    bool internal) {
  __tsan_release(tag);
  __real__Z14grpc_cq_end_opP21grpc_completion_queuePvN4absl7debian36StatusEPFvS1_P18grpc_cq_completionES1_S6_b(
      queue, tag, status, done, done_argument, storage, internal);
}

AUSPEX_WRAPPED(grpc_event, grpc_completion_queue_next, grpc_completion_queue* queue,
               gpr_timespec deadline, void* reserved) {
  return Taken(__real_grpc_completion_queue_next(queue, deadline, reserved));
}

AUSPEX_WRAPPED(grpc_event, grpc_completion_queue_pluck, grpc_completion_queue* queue, void* tag,
               gpr_timespec deadline, void* reserved) {
  return Taken(__real_grpc_completion_queue_pluck(queue, tag, deadline, reserved));
}
