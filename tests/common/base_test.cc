// SPDX-License-Identifier: AGPL-3.0-only
// Encodings, times, Cat, descriptors and errno.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <fstream>
#include <string>

#include "common/base/cat.h"
#include "common/base/clock.h"
#include "common/base/encoding.h"
#include "common/base/errno_status.h"
#include "common/base/startup_pages.h"
#include "common/base/status_macros.h"
#include "common/base/unique_fd.h"
#include "common/crypto/sha256.h"

namespace auspex {
namespace {

std::string AllOctets() {
  std::string out;
  for (int i = 0; i < 256; ++i) out.push_back(static_cast<char>(i));
  return out;
}

TEST(Cat, JoinsTextCharactersAndIntegers) {
  EXPECT_EQ(Cat("a", std::string("b"), 'c', 1, -2, size_t{3}, INT64_MIN, UINT64_MAX),
            "abc1-23-922337203685477580818446744073709551615");
  EXPECT_EQ(Cat(), "");
  EXPECT_EQ(Cat(uint8_t{65}), "65");
}

TEST(Encoding, HexReadsBackAndIsStrict) {
  EXPECT_EQ(HexEncode("\x01\xff"), "01ff");
  EXPECT_EQ(HexDecode(HexEncode(AllOctets())), AllOctets());
  EXPECT_EQ(HexDecode("aAfF"), "\xaa\xff");
  EXPECT_EQ(HexDecode(""), "");
  for (const char* text : {"a", "abc", "0g", "0x", " 1", "1 "})
    EXPECT_EQ(HexDecode(text), std::nullopt) << text;
}

// RFC 4648 section 10.
TEST(Encoding, Base64OfTheRfc) {
  const std::pair<const char*, const char*> cases[] = {{"", ""},
                                                       {"f", "Zg=="},
                                                       {"fo", "Zm8="},
                                                       {"foo", "Zm9v"},
                                                       {"foob", "Zm9vYg=="},
                                                       {"fooba", "Zm9vYmE="},
                                                       {"foobar", "Zm9vYmFy"}};
  for (const auto& [octets, text] : cases) {
    EXPECT_EQ(Base64Encode(octets), text);
    EXPECT_EQ(Base64Decode(text), octets);
  }
  EXPECT_EQ(Base64Decode(Base64Encode(AllOctets())), AllOctets());
  EXPECT_EQ(Base64UrlEncode("\xfb\xff\xfe\xff"), "-__-_w");
}

TEST(Encoding, Base64HasOneSpellingPerValue) {
  for (const char* text : {"Zg", "Zg=", "Zh==", "Zm9=", "Zm8", "Z===", "====", "Zg==Zg==", "Zm9v\n",
                           " Zm9v", "Zm-_", "Zm9v=", "=m9v", "Zg=a"}) {
    EXPECT_EQ(Base64Decode(text), std::nullopt) << text;
  }
}

TEST(WireTime, HasTheFormThatACoordinatorPrints) {
  EXPECT_EQ(FormatWireTime(0), "1970-01-01T00:00:00+00:00");
  EXPECT_EQ(FormatWireTime(1), "1970-01-01T00:00:00.000001+00:00");
  EXPECT_EQ(FormatWireTime(-1), "1969-12-31T23:59:59.999999+00:00");
  EXPECT_EQ(FormatWireTime(1'784'462'400'250'000), "2026-07-19T12:00:00.250000+00:00");
  EXPECT_EQ(FormatWireTime(1'709'164'800'000'000), "2024-02-29T00:00:00+00:00");
}

TEST(IsoTime, ReadsWhatTheWireKnows) {
  EXPECT_EQ(ParseIsoTime("2026-07-19T12:00:00.25Z")->unix_micros, 1'784'462'400'250'000);
  EXPECT_EQ(ParseIsoTime("2026-07-19t14:00:00+02:00")->unix_micros, 1'784'462'400'000'000);
  EXPECT_EQ(ParseIsoTime("2026-07-19 10:30:00-01:30")->offset_minutes, -90);
  EXPECT_EQ(ParseIsoTime("1970-01-01T00:00:00.1234567z")->unix_micros, 123'456);
  EXPECT_EQ(ParseIsoTime("0001-01-01T00:00:00Z")->unix_micros, -62'135'596'800'000'000);
  for (int64_t micros : {int64_t{0}, int64_t{-1}, int64_t{1'784'462'400'250'001}}) {
    EXPECT_EQ(ParseIsoTime(FormatWireTime(micros))->unix_micros, micros);
  }
  for (const char* text : {"",
                           "now",
                           "2026-07-19",
                           "2026-07-19T12:00Z",
                           "2026-07-19T12:00:00",
                           "2026-07-19T12:00:00.Z",
                           "2026-07-19T12:00:00+0200",
                           "2026-07-19T12:00:00+02",
                           "2026-07-19T12:00:00+24:00",
                           "2026-07-19T12:00:00+02:60",
                           "2026-07-19T24:00:00Z",
                           "2026-07-19T12:60:00Z",
                           "2026-07-19T12:00:60Z",
                           "2026-02-30T12:00:00Z",
                           "2025-02-29T12:00:00Z",
                           "2026-13-01T12:00:00Z",
                           "2026-00-01T12:00:00Z",
                           "0000-01-01T00:00:00Z",
                           "2026-07-19T12:00:00ZZ",
                           "2026-07-19T12:00:00Z ",
                           " 2026-07-19T12:00:00Z",
                           "+026-07-19T12:00:00Z",
                           "2026-7-19T12:00:00Z"}) {
    EXPECT_FALSE(ParseIsoTime(text).has_value()) << text;
  }
  EXPECT_FALSE(ParseIsoTime("2026-07-19T12:00:00." + std::string(1000, '1') + "Z").has_value());
}

// W7: a tenant's string must be in the coordinator's own form before it is signed.
TEST(CompletedAt, IsBroughtIntoTheFormOfTheWire) {
  EXPECT_EQ(NormalizeCompletedAt("2026-05-21T00:00:00Z"), "2026-05-21T00:00:00+00:00");
  EXPECT_EQ(NormalizeCompletedAt("2026-05-21T00:00:00.5+00:00"),
            "2026-05-21T00:00:00.500000+00:00");
  EXPECT_EQ(NormalizeCompletedAt("2026-05-21T00:00:00.000000+00:00"), "2026-05-21T00:00:00+00:00");
  EXPECT_EQ(NormalizeCompletedAt("2026-05-21T02:00:00.1234569-05:30"),
            "2026-05-21T02:00:00.123456-05:30");
  EXPECT_EQ(NormalizeCompletedAt("2026-05-21 02:00:00-00:00"), "2026-05-21T02:00:00+00:00");
  EXPECT_EQ(NormalizeCompletedAt("yesterday"), std::nullopt);
}

TEST(Clock, SystemClocksMove) {
  const Clock& clock = Clock::System();
  const int64_t before = clock.MonotonicMicros();
  EXPECT_GT(clock.NowMicros(), 1'700'000'000'000'000);
  EXPECT_GE(clock.MonotonicMicros(), before);
  EXPECT_GT(clock.NowSeconds(), 1'700'000'000);
}

TEST(UniqueFd, ClosesOnceAndMoves) {
  UniqueFd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(fd.valid());
  const int raw = fd.get();
  UniqueFd other = std::move(fd);
  EXPECT_EQ(other.get(), raw);
  EXPECT_NE(fcntl(raw, F_GETFD), -1);
  other.Reset();
  EXPECT_EQ(fcntl(raw, F_GETFD), -1);
  UniqueFd released(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int kept = released.Release();
  EXPECT_FALSE(released);
  EXPECT_EQ(close(kept), 0);
}

TEST(ErrnoStatus, NamesOperationThingAndCause) {
  const absl::Status status = ErrnoStatus(ENOENT, "open", "/run/x");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "open /run/x: No such file or directory");
  EXPECT_EQ(ErrnoStatus(EIO, "write", "/x").code(), absl::StatusCode::kUnavailable);
}

absl::StatusOr<int> Half(int value) {
  if (value % 2 != 0) return absl::InvalidArgumentError("odd");
  return value / 2;
}
absl::StatusOr<int> Quarter(int value) {
  ASSIGN_OR_RETURN(const int half, Half(value));
  ASSIGN_OR_RETURN(const int quarter, Half(half));
  RETURN_IF_ERROR(absl::OkStatus());
  return quarter;
}

TEST(StatusMacros, ReturnEarly) {
  EXPECT_EQ(Quarter(8).value(), 2);
  EXPECT_EQ(Quarter(6).status().message(), "odd");
}

TEST(Sha256, OfTheStandardInOneAndInPieces) {
  EXPECT_EQ(Sha256HexOf("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256HexOf(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  Sha256Stream stream;
  stream.Update("a");
  stream.Update("");
  stream.Update("bc");
  EXPECT_EQ(HexEncode(stream.Finish()), Sha256HexOf("abc"));
}

// Kilobytes of this program's own read-only mappings that are resident; touches them all first when
// asked to.
int64_t ResidentCode(bool touch_first) {
  std::ifstream smaps("/proc/self/smaps");
  std::string line;
  int64_t sum = 0;
  bool counts = false;
  while (std::getline(smaps, line)) {
    uintptr_t begin = 0, end = 0;
    char mode[5] = "";
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &begin, &end, mode) == 3) {
      counts = line.ends_with("/common_base_test") && mode[0] == 'r' && mode[1] == '-';
      for (uintptr_t at = begin; counts && touch_first && at < end; at += 4096) {
        (void)*reinterpret_cast<const volatile char*>(at);
      }
    } else if (counts && line.starts_with("Rss:")) {
      sum += std::stoll(line.substr(4));
    }
  }
  return sum;
}

TEST(StartupPages, AreGivenBackAndComeAgainWhenNeeded) {
  ResidentCode(/*touch_first=*/true);
  const int64_t all = ResidentCode(/*touch_first=*/false);
  ASSERT_GT(all, 0);
  ReleaseStartupPages();
  EXPECT_LT(ResidentCode(/*touch_first=*/false), all);
  EXPECT_EQ(Sha256HexOf("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace auspex
