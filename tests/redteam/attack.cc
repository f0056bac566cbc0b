// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/redteam/attack.h"

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sodium/crypto_hash_sha512.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/base/encoding.h"
#include "common/base/unique_fd.h"
#include "common/files/files.h"
#include "keyd/seal.h"

namespace auspex::redteam {

void Become(uid_t user) {
  if (::setgroups(0, nullptr) != 0 || ::setresgid(user, user, user) != 0 ||
      ::setresuid(user, user, user) != 0) {
    ::_exit(254);
  }
}

int AsUser(uid_t user, const std::function<int()>& attack) {
  const pid_t child = ::fork();
  if (child == 0) {
    Become(user);
    ::_exit(attack());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void GiveTo(uid_t user, const std::string& path) {
  EXPECT_EQ(::lchown(path.c_str(), user, user), 0) << path;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    EXPECT_EQ(::lchown(entry.path().c_str(), user, user), 0) << entry.path();
  }
}

std::string SeedOf(const std::string& home) {
  const std::string state = home + "/state/keyd";
  const auto sealed = ReadFile(state + "/key.sealed", 4096);
  EXPECT_TRUE(sealed.ok()) << sealed.status();
  if (!sealed.ok()) return "";
  keyd::SealSources sources;
  sources.local_secret_path = state + "/seal.key";
  const auto key = keyd::UnsealKey(*sealed, sources);
  EXPECT_TRUE(key.ok()) << key.status();
  if (!key.ok()) return "";
  const auto seed = key->Seed(keyd::SecretKeyAccess::ForReviewedUse());
  return std::string(reinterpret_cast<const char*>(seed.data()), seed.size());
}

namespace {

void AddParts(std::vector<Needle>& needles, const std::string& name, const std::string& octets) {
  for (size_t at = 0; at + 8 <= octets.size(); at += 8) {
    needles.push_back({name + "+" + std::to_string(at), octets.substr(at, 8)});
  }
}

// libsodium multiplies the scalar as 21-bit numbers in 64-bit words; two of them that follow each other.
void AddLimbs(std::vector<Needle>& needles, const std::string& scalar) {
  const auto limb = [&](size_t index) {
    uint64_t value = 0;
    for (size_t bit = 0; bit < 21 && index * 21 + bit < 256; ++bit) {
      const size_t at = index * 21 + bit;
      value |= uint64_t{(static_cast<unsigned char>(scalar[at / 8]) >> (at % 8)) & 1u} << bit;
    }
    return std::string(reinterpret_cast<const char*>(&value), 8);
  };
  for (size_t i = 0; i + 1 < 12; ++i) {
    needles.push_back({"scalar's limbs " + std::to_string(i), limb(i) + limb(i + 1)});
  }
}

}  // namespace

std::vector<Needle> NeedlesOf(const std::string& seed) {
  std::string expanded(crypto_hash_sha512_BYTES, '\0');
  crypto_hash_sha512(reinterpret_cast<unsigned char*>(expanded.data()),
                     reinterpret_cast<const unsigned char*>(seed.data()), seed.size());
  std::string clamped = expanded.substr(0, 32);
  clamped[0] = static_cast<char>(clamped[0] & 248);
  clamped[31] = static_cast<char>((clamped[31] & 127) | 64);
  std::vector<Needle> needles;
  AddParts(needles, "seed", seed);
  AddParts(needles, "hashed seed", expanded);
  AddParts(needles, "scalar", clamped);
  AddLimbs(needles, clamped);
  needles.push_back({"seed in hex", HexEncode(seed)});
  needles.push_back({"seed in base64", Base64Encode(seed)});
  return needles;
}

std::optional<Scan> ScanMemory(pid_t pid, const std::vector<Needle>& needles) {
  const std::string folder = "/proc/" + std::to_string(pid);
  const UniqueFd memory(::open((folder + "/mem").c_str(), O_RDONLY | O_CLOEXEC));
  if (!memory) return std::nullopt;
  Scan scan;
  std::ifstream maps(folder + "/maps");
  for (std::string line; std::getline(maps, line);) {
    unsigned long low = 0, high = 0;
    char flags[5] = {};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &low, &high, flags) != 3 || flags[0] != 'r')
      continue;
    // In pieces that overlap by more than the longest needle.
    constexpr size_t kPiece = 4 << 20, kOverlap = 128;
    for (unsigned long at = low; at < high; at += kPiece) {
      std::string piece(std::min<size_t>(high - at, kPiece + kOverlap), '\0');
      const ssize_t n = ::pread(memory.get(), piece.data(), piece.size(), static_cast<off_t>(at));
      if (n <= 0) {
        ++scan.unreadable;
        break;
      }
      piece.resize(static_cast<size_t>(n));
      scan.octets += piece.size();
      for (const Needle& needle : needles) {
        if (piece.find(needle.octets) != std::string::npos) {
          scan.found.push_back(needle.name + " in " + line);
        }
      }
    }
  }
  return scan;
}

std::vector<pid_t> ThreadsOf(pid_t pid) {
  std::vector<pid_t> threads;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
    threads.push_back(std::stoi(entry.path().filename().string()));
  }
  return threads;
}

std::string StatusLine(pid_t pid, pid_t thread, const std::string& name) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/task/" + std::to_string(thread) +
                       "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(name + ":\t", 0) == 0) return line.substr(name.size() + 2);
  }
  return "";
}

#if defined(__x86_64__)
namespace {

// Stops the process where it sleeps in a system call, so that the instruction is at hand. False when it ends or never does.
bool StopInCall(pid_t pid, user_regs_struct& registers) {
  for (int tries = 0; tries < 200; ++tries) {
    int status = 0;
    if (::ptrace(PTRACE_INTERRUPT, pid, 0, 0) != 0 || ::waitpid(pid, &status, __WALL) != pid ||
        !WIFSTOPPED(status) || ::ptrace(PTRACE_GETREGS, pid, 0, &registers) != 0) {
      return false;
    }
    errno = 0;
    const long word = ::ptrace(PTRACE_PEEKTEXT, pid, registers.rip - 2, 0);
    if (errno == 0 && (word & 0xffff) == 0x050f) return true;
    ::ptrace(PTRACE_CONT, pid, 0, 0);
    ::poll(nullptr, 0, 5);
  }
  return false;
}

// Stops `pid` and makes it about to do the call. False when it cannot.
bool PrepareCall(pid_t pid, long number, const std::array<unsigned long, 6>& arguments,
                 user_regs_struct& before) {
  if (::ptrace(PTRACE_SEIZE, pid, 0, 0) != 0 || !StopInCall(pid, before)) return false;
  user_regs_struct call = before;
  call.rip -= 2;
  call.rax = static_cast<unsigned long>(number);
  // The call that was interrupted is not begun again by itself.
  call.orig_rax = ~0ul;
  call.rdi = arguments[0];
  call.rsi = arguments[1];
  call.rdx = arguments[2];
  call.r10 = arguments[3];
  call.r8 = arguments[4];
  call.r9 = arguments[5];
  return ::ptrace(PTRACE_SETREGS, pid, 0, &call) == 0;
}

}  // namespace

void StartDeniedCall(pid_t pid, long number, std::array<unsigned long, 6> arguments) {
  user_regs_struct before{};
  EXPECT_TRUE(PrepareCall(pid, number, arguments, before));
  EXPECT_EQ(::ptrace(PTRACE_DETACH, pid, 0, 0), 0);
}

std::optional<Injected> InjectCall(pid_t pid, long number, std::array<unsigned long, 6> arguments) {
  user_regs_struct before{};
  if (!PrepareCall(pid, number, arguments, before)) return std::nullopt;
  Injected injected;
  for (int stop = 0; stop < 2; ++stop) {  // at the entry, at the exit
    if (::ptrace(PTRACE_SYSCALL, pid, 0, 0) != 0 ||
        ::waitpid(pid, &injected.wait_status, __WALL) != pid) {
      return std::nullopt;
    }
    if (!WIFSTOPPED(injected.wait_status)) return injected;
  }
  user_regs_struct after{};
  ::ptrace(PTRACE_GETREGS, pid, 0, &after);
  injected.result = static_cast<long>(after.rax);
  // Back to just before the interrupted call, with its own arguments. A filter that kills shows the exit first; the process then
  // never comes to that call.
  before.rip -= 2;
  before.rax = before.orig_rax;
  before.orig_rax = ~0ul;
  ::ptrace(PTRACE_SETREGS, pid, 0, &before);
  ::ptrace(PTRACE_SYSCALL, pid, 0, 0);
  if (::waitpid(pid, &injected.wait_status, __WALL) != pid) return std::nullopt;
  injected.done = WIFSTOPPED(injected.wait_status);
  if (injected.done) ::ptrace(PTRACE_DETACH, pid, 0, 0);
  return injected;
}
#else
std::optional<Injected> InjectCall(pid_t, long, std::array<unsigned long, 6>) {
  return std::nullopt;
}
void StartDeniedCall(pid_t, long, std::array<unsigned long, 6>) {
  ADD_FAILURE() << "not on this machine";
}
#endif

bool CanInject() {
#if defined(__x86_64__)
  return ::geteuid() == 0;
#else
  return false;
#endif
}

}  // namespace auspex::redteam
