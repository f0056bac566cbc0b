// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/support/call_faults.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace auspex::testing {
namespace {

constexpr size_t kMostWatched = 32;

// A packet of one octet with room for a descriptor.
struct Packet {
  Packet() {
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
  }
  char octet = 'f';
  iovec part{&octet, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
};

bool SendFd(int socket, int fd) {
  Packet packet;
  cmsghdr* header = CMSG_FIRSTHDR(&packet.message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  return ::sendmsg(socket, &packet.message, MSG_NOSIGNAL) == 1;
}

int ReceiveFd(int socket) {
  Packet packet;
  const ssize_t got = ::recvmsg(socket, &packet.message, MSG_CMSG_CLOEXEC);
  const cmsghdr* header = got == 1 ? CMSG_FIRSTHDR(&packet.message) : nullptr;
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return -1;
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return fd;
}

// Waits for either; true when it is the first one's turn.
bool FirstIsReadable(int first, int second) {
  pollfd waits[2] = {{first, POLLIN, 0}, {second, POLLIN, 0}};
  while (::poll(waits, 2, -1) < 0 && errno == EINTR) continue;
  return waits[1].revents == 0 && (waits[0].revents & POLLIN) != 0;
}

}  // namespace

CallFaults::CallFaults(std::vector<int> watched, Answer answer)
    : watched_(std::move(watched)), answer_(std::move(answer)) {
  int ends[2];
  if (watched_.size() > kMostWatched ||
      ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    std::abort();
  }
  to_supervisor_ = ends[0];
  from_child_ = ends[1];
  stop_ = ::eventfd(0, EFD_CLOEXEC);
  supervisor_ = std::thread([this] {
    if (!FirstIsReadable(from_child_, stop_)) return;
    const int listener = ReceiveFd(from_child_);
    if (listener < 0) return;
    AnswerCalls(listener);
    ::close(listener);
  });
}

CallFaults::~CallFaults() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(stop_, &one, sizeof one);
  supervisor_.join();
  for (const int fd : {to_supervisor_, from_child_, stop_}) ::close(fd);
}

void CallFaults::WatchThisProcess() const {
  sock_filter program[kMostWatched + 3];
  size_t size = 0;
  program[size++] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
  for (size_t i = 0; i < watched_.size(); ++i) {
    // To the last instruction.
    const auto over = static_cast<unsigned char>(watched_.size() - i);
    program[size++] =
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(watched_[i]), over, 0);
  }
  program[size++] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  program[size++] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
  const sock_fprog filter{static_cast<unsigned short>(size), program};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) ::_exit(125);
  const long listener =
      ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
  if (listener < 0 || !SendFd(to_supervisor_, static_cast<int>(listener))) ::_exit(125);
  ::close(static_cast<int>(listener));
}

void CallFaults::AnswerCalls(int listener) {
  while (FirstIsReadable(listener, stop_)) {
    seccomp_notif asked{};
    if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0) {
      if (errno == EINTR || errno == ENOENT) continue;  // who asked is gone
      return;
    }
    Call call;
    call.number = asked.data.nr;
    call.thread = static_cast<pid_t>(asked.pid);
    for (size_t i = 0; i < 6; ++i) call.arguments[i] = asked.data.args[i];
    const int error = answer_(call);
    seccomp_notif_resp response{};
    response.id = asked.id;
    response.error = -error;
    response.flags = error == 0 ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0;
    (void)::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
  }
}

}  // namespace auspex::testing
