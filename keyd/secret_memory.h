// SPDX-License-Identifier: AGPL-3.0-only
// SecretMemory: a few octets that must not be swapped, dumped, inherited or read past their ends.
// They lie in memory of memfd_secret(2) where the kernel gives it (then not even root reads them
// through /proc/PID/mem), else in locked anonymous memory that is left out of dumps; in both cases
// between two pages that cannot be touched. Wiped when destroyed. Move-only; one object is used by
// one thread at a time while it is written, by any number while it is only read.
#ifndef AUSPEX_KEYD_SECRET_MEMORY_H_
#define AUSPEX_KEYD_SECRET_MEMORY_H_

#include <cstddef>
#include <span>
#include <string>

#include "absl/status/statusor.h"

namespace auspex::keyd {

class SecretMemory {
 public:
  enum class Kind { kSecretFd, kLocked, kUnlocked };
  // Largest object: what fits one page.
  static constexpr size_t kMaxOctets = 4096;

  // `octets` zero octets, 1..kMaxOctets. RESOURCE_EXHAUSTED when the memory can neither be secret
  // nor locked (the message names RLIMIT_MEMLOCK).
  static absl::StatusOr<SecretMemory> Create(size_t octets);
  // Like Create, without trying memfd_secret: the way of an older kernel, for tests.
  static absl::StatusOr<SecretMemory> CreateLocked(size_t octets);

  // From now on a page that can neither be secret nor locked is taken as it is (kUnlocked). For an owner who accepted that in
  // the configuration; never undone.
  static void AcceptUnlocked();

  SecretMemory(SecretMemory&& other) noexcept;
  SecretMemory& operator=(SecretMemory&& other) noexcept;
  SecretMemory(const SecretMemory&) = delete;
  SecretMemory& operator=(const SecretMemory&) = delete;
  ~SecretMemory();

  std::span<unsigned char> octets() { return {data_, size_}; }
  std::span<const unsigned char> octets() const { return {data_, size_}; }
  Kind kind() const { return kind_; }

 private:
  SecretMemory() = default;
  static absl::StatusOr<SecretMemory> Map(size_t octets, int secret_fd);
  void Free();

  unsigned char* region_ = nullptr;  // guard page, data page, guard page
  unsigned char* data_ = nullptr;
  size_t size_ = 0;
  Kind kind_ = Kind::kLocked;
};

// Overwrites the stack below the caller's frame, where a cryptographic call that has just returned left working values: libsodium
// wipes what it copies and not what it computes with. Call right after it, in the same function.
void WipeStack();

// Overwrites a string that held a secret, in a way that the compiler may not leave out.
void Wipe(std::string& secret);

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_SECRET_MEMORY_H_
