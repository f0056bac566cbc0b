// SPDX-License-Identifier: AGPL-3.0-only
// The memory that the key lies in: guarded on both sides, wiped, and out of dumps.
#include "keyd/secret_memory.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>

#include "tests/keyd/rig.h"
#include "tests/support/skip.h"

namespace auspex::keyd {
namespace {

// True when touching `address` in a child process kills it.
bool Faults(const volatile unsigned char* address) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGSEGV, SIG_DFL);
    ::signal(SIGBUS, SIG_DFL);
    [[maybe_unused]] const unsigned char value = *address;
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status);
}

// The flags that the kernel keeps for the mapping of `address` ("dd" not dumped, "lo" locked).
std::string FlagsOf(const unsigned char* address) {
  std::ifstream maps("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    unsigned long low = 0, high = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &low, &high) == 2) {
      const auto at = reinterpret_cast<unsigned long>(address);
      inside = low <= at && at < high;
    } else if (inside && line.rfind("VmFlags:", 0) == 0) {
      return line;
    }
  }
  return "";
}

TEST(SecretMemory, IsGuardedOnBothSides) {
  for (const bool locked : {false, true}) {
    auto memory = locked ? SecretMemory::CreateLocked(64) : SecretMemory::Create(64);
    ASSERT_TRUE(memory.ok()) << memory.status();
    unsigned char* data = memory->octets().data();
    std::fill(memory->octets().begin(), memory->octets().end(), 0x5a);
    EXPECT_TRUE(Faults(data - 1));
    EXPECT_TRUE(Faults(data + ::sysconf(_SC_PAGESIZE)));
  }
}

TEST(SecretMemory, LockedMemoryIsOutOfDumpsSwapAndChildren) {
  auto memory = SecretMemory::CreateLocked(32);
  ASSERT_TRUE(memory.ok()) << memory.status();
  EXPECT_EQ(memory->kind(), SecretMemory::Kind::kLocked);
  const std::string flags = FlagsOf(memory->octets().data());
  EXPECT_NE(flags.find(" dd"), std::string::npos) << flags;
  EXPECT_NE(flags.find(" lo"), std::string::npos) << flags;
  EXPECT_NE(flags.find(" wf"), std::string::npos) << flags;
}

TEST(SecretMemory, ChildrenDoNotInheritTheSecretKind) {
  auto memory = SecretMemory::Create(32);
  ASSERT_TRUE(memory.ok()) << memory.status();
  AUSPEX_SKIP_UNLESS(memory->kind() == SecretMemory::Kind::kSecretFd, "memfd_secret");
  EXPECT_TRUE(Faults(memory->octets().data()));
}

TEST(SecretMemory, MovesWithoutCopyingAndHasBounds) {
  auto memory = SecretMemory::Create(16);
  ASSERT_TRUE(memory.ok());
  unsigned char* data = memory->octets().data();
  data[3] = 7;
  SecretMemory moved = *std::move(memory);
  EXPECT_EQ(moved.octets().data(), data);
  EXPECT_EQ(moved.octets()[3], 7);
  EXPECT_FALSE(SecretMemory::Create(0).ok());
  EXPECT_FALSE(SecretMemory::Create(SecretMemory::kMaxOctets + 1).ok());
}

TEST(SecretMemory, WipeLeavesNothingOfAString) {
  std::string secret(200, 's');
  const char* data = secret.data();
  Wipe(secret);
  EXPECT_TRUE(secret.empty());
  EXPECT_EQ(data[0], '\0');
}

}  // namespace
}  // namespace auspex::keyd
