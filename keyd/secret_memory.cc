// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/secret_memory.h"

#include <fcntl.h>
#include <sodium/utils.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <utility>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/unique_fd.h"

namespace auspex::keyd {
namespace {

// Debian 12's headers may lack the name; the number is the same on every architecture.
#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

std::atomic<bool> accept_unlocked{false};

size_t PageOctets() { return static_cast<size_t>(::sysconf(_SC_PAGESIZE)); }

}  // namespace

absl::StatusOr<SecretMemory> SecretMemory::Create(size_t octets) {
  const UniqueFd fd(static_cast<int>(::syscall(SYS_memfd_secret, O_CLOEXEC)));
  if (fd.valid() && ::ftruncate(fd.get(), static_cast<off_t>(PageOctets())) == 0) {
    absl::StatusOr<SecretMemory> memory = Map(octets, fd.get());
    if (memory.ok()) return memory;
  }
  return Map(octets, -1);
}

absl::StatusOr<SecretMemory> SecretMemory::CreateLocked(size_t octets) { return Map(octets, -1); }

absl::StatusOr<SecretMemory> SecretMemory::Map(size_t octets, int secret_fd) {
  if (octets == 0 || octets > kMaxOctets) {
    return absl::InvalidArgumentError(Cat("secret memory: ", octets, " octets"));
  }
  const size_t page = PageOctets();
  void* region = ::mmap(nullptr, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (region == MAP_FAILED) return ErrnoStatus(errno, "mmap", "secret memory");
  SecretMemory memory;
  memory.region_ = static_cast<unsigned char*>(region);
  memory.size_ = octets;
  memory.kind_ = secret_fd >= 0 ? Kind::kSecretFd : Kind::kLocked;
  const int flags = MAP_FIXED | (secret_fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS);
  void* inner = ::mmap(memory.region_ + page, page, PROT_READ | PROT_WRITE, flags, secret_fd, 0);
  if (inner == MAP_FAILED) return ErrnoStatus(errno, "mmap", "secret memory");
  memory.data_ = static_cast<unsigned char*>(inner);
  if (secret_fd < 0) {
    // memfd_secret memory is locked, never dumped and unreadable for the kernel's own paths; here
    // it has to be said. Not through mlock(), which sanitizers replace by one that does nothing.
    if (::syscall(SYS_mlock, inner, page) != 0) {
      if (!accept_unlocked) {
        return absl::ResourceExhaustedError(
            "secret memory: cannot lock a page; raise the limit RLIMIT_MEMLOCK (ulimit -l)");
      }
      memory.kind_ = Kind::kUnlocked;
    }
    if (::madvise(inner, page, MADV_DONTDUMP) != 0 ||
        ::madvise(inner, page, MADV_WIPEONFORK) != 0) {
      return ErrnoStatus(errno, "madvise", "secret memory");
    }
  } else if (::madvise(inner, page, MADV_DONTFORK) != 0) {
    return ErrnoStatus(errno, "madvise", "secret memory");
  }
  return memory;
}

void SecretMemory::AcceptUnlocked() { accept_unlocked = true; }

SecretMemory::SecretMemory(SecretMemory&& other) noexcept
    : region_(std::exchange(other.region_, nullptr)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      kind_(other.kind_) {}

SecretMemory& SecretMemory::operator=(SecretMemory&& other) noexcept {
  if (this != &other) {
    Free();
    region_ = std::exchange(other.region_, nullptr);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    kind_ = other.kind_;
  }
  return *this;
}

SecretMemory::~SecretMemory() { Free(); }

void SecretMemory::Free() {
  if (data_ != nullptr) sodium_memzero(data_, size_);
  if (region_ != nullptr) ::munmap(region_, 3 * PageOctets());
  region_ = data_ = nullptr;
  size_ = 0;
}

void WipeStack() {
  // More than Ed25519, BLAKE2b and XChaCha20-Poly1305 use together.
  constexpr size_t kOctets = 8192;
  sodium_stackzero(kOctets);
}

void Wipe(std::string& secret) {
  sodium_memzero(secret.data(), secret.size());
  secret.clear();
}

}  // namespace auspex::keyd
