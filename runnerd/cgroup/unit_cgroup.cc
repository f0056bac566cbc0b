// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/cgroup/unit_cgroup.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string_view>
#include <vector>

#include "common/base/cat.h"
#include "common/base/clock.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/cgroup/control_file.h"

namespace auspex::runnerd {
namespace {

constexpr int64_t kPatienceMicros = 10'000'000;
constexpr char kEvents[] = "cgroup.events", kProcesses[] = "cgroup.procs";

// The file as it is now; a descriptor's first read after a change is answered anew from its start.
bool EventIs(int events, std::string_view key, uint64_t value) {
  char text[256];
  const ssize_t n = pread(events, text, sizeof text, 0);
  return n > 0 && KeyedValue(std::string_view(text, static_cast<size_t>(n)), key) == value;
}

absl::Status WaitEmptyByEvents(int events, int64_t micros) {
  const Clock& clock = Clock::System();
  const int64_t give_up = clock.MonotonicMicros() + micros;
  while (!EventIs(events, "populated", 0)) {
    const int64_t left = give_up - clock.MonotonicMicros();
    if (left <= 0) return absl::DeadlineExceededError("cgroup: a process of the unit does not end");
    // The kernel tells of a change with POLLPRI, but late and lumped together: look by ourselves
    // too.
    pollfd entry{events, POLLPRI, 0};
    poll(&entry, 1, static_cast<int>(std::clamp<int64_t>(left / 1000, 1, 5)));
  }
  return absl::OkStatus();
}

absl::Status KillAll(int folder) {
  int error = 0;
  const absl::Status killed = WriteControl(folder, "cgroup.kill", "1", &error);
  return error == ENOENT ? KillByList(folder) : killed;
}

absl::Status EndOpened(int parent, const std::string& name, int folder, int events) {
  if (!EventIs(events, "populated", 0)) RETURN_IF_ERROR(KillAll(folder));
  if (!WaitEmptyByEvents(events, kPatienceMicros).ok()) {
    return absl::InternalError(
        Cat("cgroup ", name, ": a process of the unit did not die within 10 s of SIGKILL"));
  }
  return RemoveCgroup(parent, name);
}

}  // namespace

absl::Status RemoveCgroup(int parent, const std::string& name) {
  const Clock& clock = Clock::System();
  const int64_t give_up = clock.MonotonicMicros() + kPatienceMicros;
  while (unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
    if (errno != EBUSY || clock.MonotonicMicros() > give_up)
      return absl::InternalError(std::string(ErrnoStatus(errno, "remove cgroup", name).message()));
    usleep(1000);
  }
  return absl::OkStatus();
}

UnitCgroup::~UnitCgroup() {
  if (folder_) (void)End();
}

absl::Status UnitCgroup::SetFrozen(bool frozen) {
  return WriteControl(folder_.get(), "cgroup.freeze", frozen ? "1" : "0");
}

bool UnitCgroup::IsFrozen() const { return EventIs(events_.get(), "frozen", 1); }

absl::Status UnitCgroup::Kill() { return KillAll(folder_.get()); }

bool UnitCgroup::IsEmpty() const { return EventIs(events_.get(), "populated", 0); }

CgroupUsage UnitCgroup::Usage() const {
  CgroupUsage usage;
  if (const auto peak = ReadControl(folder_.get(), "memory.peak"); peak.ok())
    usage.memory_peak_octets = KeyedValue(Cat("peak ", *peak), "peak");
  if (const auto cpu = ReadControl(folder_.get(), "cpu.stat"); cpu.ok())
    usage.cpu_micros = KeyedValue(*cpu, "usage_usec");
  if (const auto events = ReadControl(folder_.get(), "memory.events"); events.ok()) {
    usage.out_of_memory = KeyedValue(*events, "oom_kill").value_or(0);
    // `oom` counts where the limit is, `oom_kill` where the killed process was.
    usage.own_memory_limit = own_memory_ && KeyedValue(*events, "oom").value_or(0) > 0;
  }
  if (const auto events = ReadControl(folder_.get(), "pids.events"); events.ok())
    usage.processes_refused = KeyedValue(*events, "max").value_or(0);
  return usage;
}

absl::Status UnitCgroup::End() {
  const absl::Status status = EndOpened(units_, name_, folder_.get(), events_.get());
  folder_.Reset();
  events_.Reset();
  return status;
}

absl::Status KillByList(int folder) {
  const Clock& clock = Clock::System();
  const int64_t give_up = clock.MonotonicMicros() + kPatienceMicros;
  RETURN_IF_ERROR(WriteControl(folder, "cgroup.freeze", "1"));
  for (;;) {
    ASSIGN_OR_RETURN(const std::string list, ReadControl(folder, kProcesses));
    for (const std::string& word : Words(list)) {
      pid_t pid = 0;
      std::from_chars(word.data(), word.data() + word.size(), pid);
      if (pid <= 0) continue;
      const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
      // Listed after the descriptor was opened: then the descriptor is of the one that is listed.
      ASSIGN_OR_RETURN(const std::string again, ReadControl(folder, kProcesses));
      const std::vector<std::string> words = Words(again);
      if (pidfd && std::find(words.begin(), words.end(), word) != words.end())
        syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
    }
    if (WaitEmpty(folder, 5'000).ok()) return absl::OkStatus();
    if (clock.MonotonicMicros() > give_up) return WaitEmpty(folder, 0);
  }
}

absl::Status WaitEmpty(int folder, int64_t micros) {
  const UniqueFd events(openat(folder, kEvents, O_RDONLY | O_CLOEXEC));
  if (!events) return ErrnoStatus(errno, "open", kEvents);
  return WaitEmptyByEvents(events.get(), micros);
}

absl::Status EndCgroup(int parent, const std::string& name) {
  const UniqueFd folder(
      openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder) return ErrnoStatus(errno, "open cgroup", name);
  const UniqueFd events(openat(folder.get(), kEvents, O_RDONLY | O_CLOEXEC));
  if (!events) return ErrnoStatus(errno, "open", kEvents);
  return EndOpened(parent, name, folder.get(), events.get());
}

}  // namespace auspex::runnerd
