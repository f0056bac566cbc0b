// SPDX-License-Identifier: AGPL-3.0-only
// In builds with ThreadSanitizer alone. Debian's gRPC was built without it, so it sees of gRPC the C library's functions that gRPC
// calls, and nothing of what orders them. Each function here stands before the real one by the linker's --wrap (CMakeLists.txt) and
// tells it three things that are true:
//
// * a lock of abseil's orders those who take it, as a pthread_mutex_t does;
// * who puts a tag into a completion queue, or hands it to a call, comes before who takes it out;
// * what happens below a function of gRPC's core happens there: its frame is in the report, by its name __wrap_grpc_*, which is
//   what tests/tsan.supp goes by. Of ours only __wrap_recvmsg (read_turns.h) is called from there.
#include <grpc/grpc.h>
#include <grpc/grpc_posix.h>
#include <sanitizer/tsan_interface.h>

#include <memory>
#include <string_view>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace {

using absl::CondVar;
using absl::Duration;
using absl::Mutex;
using absl::Time;

// A function of its own, so that its caller is in the report.
template <typename Call>
__attribute__((noinline)) auto InCore(const Call& call) {
  return call();
}

struct CoreTask {
  void (*function)(void*);
  void* argument;
};

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
// A function of the core that takes no tag: PARAMETERS and ARGUMENTS in parentheses.
#define AUSPEX_CORE(result, name, PARAMETERS, ARGUMENTS)    \
  extern "C" result __real_##name PARAMETERS;               \
  extern "C" result __wrap_##name PARAMETERS {              \
    return InCore([&] { return __real_##name ARGUMENTS; }); \
  }

// The whole life of a thread of the core.
extern "C" void __wrap_grpc_thread(void* argument) {
  const std::unique_ptr<CoreTask> task(static_cast<CoreTask*>(argument));
  InCore([&] { task->function(task->argument); });
}

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

// grpc_core::Thread's constructor (this, name, function, argument, success, options). What the core's own threads do is marked as
// the core's too; those of the C++ layer ("grpcpp_...") call our services and are not.
AUSPEX_WRAPPED(void, _ZN9grpc_core6ThreadC1EPKcPFvPvES3_PbRKNS0_7OptionsE, void* thread,
               const char* name, void (*function)(void*), void* argument, bool* success,
               const void* options) {
  if (std::string_view(name).starts_with("grpcpp_")) {
    __real__ZN9grpc_core6ThreadC1EPKcPFvPvES3_PbRKNS0_7OptionsE(thread, name, function, argument,
                                                                success, options);
    return;
  }
  auto* task = new CoreTask{function, argument};
  __real__ZN9grpc_core6ThreadC1EPKcPFvPvES3_PbRKNS0_7OptionsE(thread, name, __wrap_grpc_thread,
                                                              task, success, options);
}

AUSPEX_WRAPPED(grpc_event, grpc_completion_queue_next, grpc_completion_queue* queue,
               gpr_timespec deadline, void* reserved) {
  return Taken(
      InCore([&] { return __real_grpc_completion_queue_next(queue, deadline, reserved); }));
}

AUSPEX_WRAPPED(grpc_event, grpc_completion_queue_pluck, grpc_completion_queue* queue, void* tag,
               gpr_timespec deadline, void* reserved) {
  return Taken(
      InCore([&] { return __real_grpc_completion_queue_pluck(queue, tag, deadline, reserved); }));
}

AUSPEX_WRAPPED(grpc_call_error, grpc_call_start_batch, grpc_call* call, const grpc_op* ops,
               size_t count, void* tag, void* reserved) {
  __tsan_release(tag);
  return InCore([&] { return __real_grpc_call_start_batch(call, ops, count, tag, reserved); });
}

AUSPEX_WRAPPED(grpc_call_error, grpc_server_request_registered_call, grpc_server* server,
               void* method, grpc_call** call, gpr_timespec* deadline,
               grpc_metadata_array* metadata, grpc_byte_buffer** payload,
               grpc_completion_queue* of_call, grpc_completion_queue* queue, void* tag) {
  __tsan_release(tag);
  return InCore([&] {
    return __real_grpc_server_request_registered_call(server, method, call, deadline, metadata,
                                                      payload, of_call, queue, tag);
  });
}

AUSPEX_WRAPPED(grpc_call_error, grpc_server_request_call, grpc_server* server, grpc_call** call,
               grpc_call_details* details, grpc_metadata_array* metadata,
               grpc_completion_queue* of_call, grpc_completion_queue* queue, void* tag) {
  __tsan_release(tag);
  return InCore([&] {
    return __real_grpc_server_request_call(server, call, details, metadata, of_call, queue, tag);
  });
}

AUSPEX_CORE(void, grpc_server_add_channel_from_fd,
            (grpc_server * server, int fd, grpc_server_credentials* credentials),
            (server, fd, credentials))
AUSPEX_CORE(grpc_channel*, grpc_channel_create_from_fd,
            (const char* target, int fd, grpc_channel_credentials* credentials,
             const grpc_channel_args* arguments),
            (target, fd, credentials, arguments))
AUSPEX_CORE(void, grpc_call_unref, (grpc_call * call), (call))
AUSPEX_CORE(grpc_call_error, grpc_call_cancel, (grpc_call * call, void* reserved), (call, reserved))
AUSPEX_CORE(void, grpc_server_shutdown_and_notify,
            (grpc_server * server, grpc_completion_queue* queue, void* tag), (server, queue, tag))
AUSPEX_CORE(void, grpc_server_cancel_all_calls, (grpc_server * server), (server))
AUSPEX_CORE(void, grpc_server_destroy, (grpc_server * server), (server))
AUSPEX_CORE(void, grpc_channel_destroy, (grpc_channel * channel), (channel))
AUSPEX_CORE(void, grpc_completion_queue_shutdown, (grpc_completion_queue * queue), (queue))
AUSPEX_CORE(void, grpc_completion_queue_destroy, (grpc_completion_queue * queue), (queue))
AUSPEX_CORE(void, grpc_byte_buffer_destroy, (grpc_byte_buffer * buffer), (buffer))
