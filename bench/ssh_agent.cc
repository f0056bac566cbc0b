// SPDX-License-Identifier: AGPL-3.0-only
#include "bench/ssh_agent.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace auspex::bench {
namespace {

// Message numbers of the SSH agent protocol (draft-miller-ssh-agent).
constexpr char kRequestIdentities = 11, kIdentitiesAnswer = 12, kSignRequest = 13,
               kSignResponse = 14;

std::string Word(uint32_t value) {
  const uint32_t order = htonl(value);
  return std::string(reinterpret_cast<const char*>(&order), 4);
}
std::string Counted(const std::string& text) {
  return Word(static_cast<uint32_t>(text.size())) + text;
}

uint32_t ReadWord(const std::string& text, size_t at) {
  uint32_t value = 0;
  std::memcpy(&value, text.data() + at, 4);
  return ntohl(value);
}

bool ReadExactly(int fd, char* into, size_t count) {
  while (count > 0) {
    const ssize_t got = ::read(fd, into, count);
    if (got <= 0) return false;
    into += got;
    count -= static_cast<size_t>(got);
  }
  return true;
}

}  // namespace

std::unique_ptr<SshAgent> SshAgent::Start(const std::string& folder) {
  if (std::system("command -v ssh-agent ssh-add ssh-keygen >/dev/null") != 0) return nullptr;
  std::unique_ptr<SshAgent> agent(new SshAgent);
  const std::string path = folder + "/agent.sock";
  agent->pid_ = ::fork();
  if (agent->pid_ == 0) {
    // It prints shell commands for its caller; our standard output is one JSON object.
    [[maybe_unused]] FILE* silent = std::freopen("/dev/null", "w", stdout);
    ::execlp("ssh-agent", "ssh-agent", "-D", "-a", path.c_str(), nullptr);
    ::_exit(127);
  }
  for (int i = 0; i < 500 && ::access(path.c_str(), F_OK) != 0; ++i) ::usleep(10000);
  const std::string make = "ssh-keygen -q -t ed25519 -N '' -f " + folder +
                           "/id && SSH_AUTH_SOCK=" + path + " ssh-add -q " + folder + "/id";
  if (std::system(make.c_str()) != 0) return nullptr;
  agent->socket_.Reset(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  if (::connect(agent->socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return nullptr;
  std::string answer;
  if (!agent->Exchange(std::string(1, kRequestIdentities), &answer) || answer.size() < 9 ||
      answer[0] != kIdentitiesAnswer) {
    return nullptr;
  }
  agent->key_blob_ = answer.substr(9, ReadWord(answer, 5));
  return agent;
}

SshAgent::~SshAgent() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGTERM);
  ::waitpid(pid_, nullptr, 0);
}

bool SshAgent::Exchange(const std::string& request, std::string* answer) {
  const std::string framed = Counted(request);
  if (::write(socket_.get(), framed.data(), framed.size()) != static_cast<ssize_t>(framed.size()))
    return false;
  std::string length(4, '\0');
  if (!ReadExactly(socket_.get(), length.data(), 4)) return false;
  answer->resize(ReadWord(length, 0));
  return ReadExactly(socket_.get(), answer->data(), answer->size());
}

bool SshAgent::Sign(const std::string& message) {
  std::string answer;
  return Exchange(std::string(1, kSignRequest) + Counted(key_blob_) + Counted(message) + Word(0),
                  &answer) &&
         !answer.empty() && answer[0] == kSignResponse;
}

}  // namespace auspex::bench
