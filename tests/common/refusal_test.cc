// SPDX-License-Identifier: AGPL-3.0-only
#include "common/wire/refusal.h"

#include <gtest/gtest.h>

#include <set>

#include "common/json/utf8.h"

namespace auspex {
namespace {

TEST(RefusalKind, WordsAreThoseOfTheWireAndReadBack) {
  std::set<std::string_view> words;
  for (const RefusalKind kind :
       {RefusalKind::kManifestSwap, RefusalKind::kTenantDeny, RefusalKind::kTenantAllowMiss,
        RefusalKind::kSensitive, RefusalKind::kRunnerFailed, RefusalKind::kSandboxUnavailable,
        RefusalKind::kThermalCritical, RefusalKind::kExecutorRefused}) {
    words.insert(RefusalWord(kind));
    EXPECT_EQ(ParseRefusalKind(RefusalWord(kind)), kind);
  }
  EXPECT_EQ(words, (std::set<std::string_view>{
                       "refused_manifest_swap", "refused_tenant_deny",
                       "refused_tenant_allow_list_miss", "refused_sensitive", "runner_failed",
                       "sandbox_unavailable", "thermal_critical", "executor_refused"}));
  for (const char* text : {"", "accepted", "refused_manual", "Runner_failed", "runner_failed "}) {
    EXPECT_EQ(ParseRefusalKind(text), std::nullopt) << text;
  }
}

TEST(CleanReason, MakesAnyTextFitForTheWire) {
  EXPECT_EQ(CleanReason("plain text"), "plain text");
  EXPECT_EQ(CleanReason("caf\xc3\xa9 \xf0\x9f\x98\x80"), "caf\xc3\xa9 \xf0\x9f\x98\x80");
  EXPECT_EQ(CleanReason("a\xe2\x80\xae b\xe2\x81\xa6 c\xe2\x80\xa8"), "a  b  c ");
  EXPECT_EQ(CleanReason(std::string("a\nb\tc\0d\x1b[31me\x7f", 14)), "a b c d [31me ");
  EXPECT_EQ(CleanReason("a\xc2\x9b"
                        "b"),
            "a b");  // a C1 control is an escape sequence to some terminals
  EXPECT_EQ(CleanReason("a\xff\xed\xa0\x80"), "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

// W8: a reason over the limit would be a 422 that is never retried.
TEST(CleanReason, CutsAtACharacterBorder) {
  EXPECT_EQ(CleanReason(std::string(5000, 'x')), std::string(kMaxReasonOctets, 'x'));
  std::string accents;
  for (int i = 0; i < 3000; ++i) accents += "\xe2\x82\xac";
  const std::string cut = CleanReason(accents);
  EXPECT_EQ(cut.size(), kMaxReasonOctets / 3 * 3);
  EXPECT_TRUE(IsUtf8(cut));
  EXPECT_EQ(CleanReason(std::string(kMaxReasonOctets - 1, 'x') + "\xc3\xa9"),
            std::string(kMaxReasonOctets - 1, 'x'));
}

}  // namespace
}  // namespace auspex
