// SPDX-License-Identifier: AGPL-3.0-only
// The self-test that keyd makes at start passes here; what it compares with comes from the RFCs.
#include "keyd/self_test.h"

#include <gtest/gtest.h>

namespace auspex::keyd {
namespace {

TEST(SelfTest, PassesOnThisMachine) { EXPECT_EQ(SelfTest(), absl::OkStatus()); }

}  // namespace
}  // namespace auspex::keyd
