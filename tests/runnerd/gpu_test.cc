// SPDX-License-Identifier: AGPL-3.0-only
// The owner's switch for accelerators on real sandboxes, with nodes that do no harm in their place.
#include "runnerd/gpu.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "common/base/cat.h"
#include "runnerd/seccomp_policy.h"
#include "tests/runnerd/fixture.h"
#include "tests/support/skip.h"

namespace auspex::runnerd {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Gpu, IsForNamedTenantsAlone) {
  Config config;
  const TenantId lab = *TenantId::Parse("test-lab"), other = *TenantId::Parse("other");
  EXPECT_FALSE(GpuIsOn(config));
  EXPECT_THAT(DevicesOf(config, lab), IsEmpty());
  config.gpu_devices = {"/dev/nvidia0"};
  EXPECT_FALSE(GpuIsOn(config)) << "nobody gets it";
  EXPECT_THAT(DevicesOf(config, lab), IsEmpty());
  config.gpu_tenants = {"test-lab"};
  EXPECT_TRUE(GpuIsOn(config));
  EXPECT_THAT(DevicesOf(config, lab), ElementsAre("/dev/nvidia0"));
  EXPECT_THAT(DevicesOf(config, other), IsEmpty());
}

TEST(Gpu, WhatIsNoNodeIsRefusedByName) {
  ScratchFolder folder;
  const std::string file = folder.Write("file", "x");
  EXPECT_THAT(std::string(CheckNodes({file}).message()), HasSubstr("is no character device"));
  ASSERT_EQ(symlink("/dev/null", (folder.path() + "/link").c_str()), 0);
  EXPECT_FALSE(CheckNodes({folder.path() + "/link"}).ok());
  EXPECT_THAT(std::string(CheckNodes({"/dev/nothing-here"}).message()),
              HasSubstr("/dev/nothing-here"));
  EXPECT_TRUE(CheckNodes({"/dev/null", "/dev/zero"}).ok());
}

// Only the ioctl rule differs, and terminals gain nothing by it.
TEST(Gpu, ItsFilterAddsDriversAndNoTerminal) {
  const SeccompPolicy &base = TenantPolicy(), &more = DevicePolicy();
  EXPECT_EQ(more.allowed.size(), base.allowed.size());
  EXPECT_EQ(more.absent.size(), base.absent.size());
  ASSERT_EQ(more.ruled.size(), base.ruled.size() + 1);
  const ArgumentRule& rule = more.ruled.back();
  EXPECT_EQ(rule.name, "ioctl");
  for (const uint64_t request : {uint64_t{0x5412} /* TIOCSTI */, uint64_t{0x541C} /* TIOCLINUX */,
                                 uint64_t{0x540E} /* TIOCSCTTY */}) {
    EXPECT_EQ(std::count(rule.values.begin(), rule.values.end(), request & rule.mask), 0)
        << request;
  }
  for (const uint64_t request : {uint64_t{0xC00846D6} /* NVIDIA */, uint64_t{0x30000001} /* UVM */,
                                 uint64_t{0xC0206442} /* DRM */, uint64_t{0x80084B01} /* KFD */}) {
    EXPECT_EQ(std::count(rule.values.begin(), rule.values.end(), request & rule.mask), 1)
        << request;
  }
}

class GpuTest : public PipelineTest {
 protected:
  void SetUp() override {
    PipelineTest::SetUp();
    // A node that does what /dev/zero does, under a name that no sandbox knows.
    made_ = mknod(kNode, S_IFCHR | 0666, makedev(1, 5)) == 0 && chmod(kNode, 0666) == 0;
    AUSPEX_SKIP_UNLESS(made_, "the right to make a device node in /dev (root)");
  }
  void TearDown() override {
    if (made_) unlink(kNode);
  }
  int64_t ErrorOfOpening(const std::string& path, const std::vector<std::string>& granted) {
    Unit unit = MakeUnit(StageTenant({"open", path}));
    unit.devices = granted;
    return IntegerOf(PayloadOf(Run(unit)), "error");
  }
  static constexpr char kNode[] = "/dev/auspex-test-accelerator";
  bool made_ = false;
};

TEST_F(GpuTest, ANodeIsThereForItsTenantAlone) {
  EXPECT_EQ(ErrorOfOpening(kNode, {}), ENOENT);
  config_.gpu_devices = {kNode};
  EXPECT_EQ(ErrorOfOpening(kNode, {}), ENOENT) << "no tenant is named";
  config_.gpu_tenants = {"another-lab"};
  EXPECT_EQ(ErrorOfOpening(kNode, {kNode}), ENOENT) << "another tenant is named";
  config_.gpu_tenants = {"test-lab"};
  EXPECT_EQ(ErrorOfOpening(kNode, {}), ENOENT) << "its audit row does not name the node";
  EXPECT_EQ(ErrorOfOpening(kNode, {kNode}), 0);
  // And nothing else came with it.
  EXPECT_EQ(ErrorOfOpening("/dev/kmsg", {kNode}), ENOENT);
  EXPECT_EQ(ErrorOfOpening("/dev/full", {kNode}), 0);
}

// What AMD's libraries are to take it for comes with a node, and with nothing else.
TEST_F(GpuTest, ItsVersionIsSaidToUnitsThatGetANode) {
  constexpr char kName[] = "HSA_OVERRIDE_GFX_VERSION";
  const auto value = [&](const std::vector<std::string>& granted) {
    Unit unit = MakeUnit(StageTenant({"variable", kName}));
    unit.devices = granted;
    return TextOf(PayloadOf(Run(unit)), "value");
  };
  config_.gpu_devices = {kNode};
  config_.gpu_tenants = {"test-lab"};
  EXPECT_EQ(value({kNode}), "(unset)");
  config_.gpu_hsa_override = "10.3.0";
  EXPECT_EQ(value({kNode}), "10.3.0");
  EXPECT_EQ(value({}), "(unset)") << "its audit row names no node";
  config_.gpu_tenants = {"another-lab"};
  EXPECT_EQ(value({kNode}), "(unset)");
}

TEST_F(GpuTest, AMissingNodeRefusesTheUnitByName) {
  config_.gpu_devices = {kNode, "/dev/auspex-test-missing"};
  config_.gpu_tenants = {"test-lab"};
  Unit unit = MakeUnit(StageTenant({"ok"}));
  unit.devices = config_.gpu_devices;
  const std::string outcome = Describe(Run(unit));
  EXPECT_THAT(outcome, testing::StartsWith("executor_refused: "));
  EXPECT_THAT(outcome, HasSubstr("/dev/auspex-test-missing"));
}

}  // namespace
}  // namespace auspex::runnerd
