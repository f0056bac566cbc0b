// SPDX-License-Identifier: AGPL-3.0-only
// What a host is measured to have, and what of it is announced.
#include "runnerd/capabilities.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/cat.h"
#include "common/json/canonical.h"
#include "tests/runnerd/fixture.h"

namespace auspex::runnerd {
namespace {

using testing::HasSubstr;

TEST(Capabilities, AcceleratorsAreThoseThatCanBeOpened) {
  ScratchFolder folder;
  const auto measured = [&folder] { return MeasureHost(folder.path(), ""); };
  // A card without a driver for computing, and names that are no cards.
  folder.Write("sys/class/drm/card0/device/mem_info_vram_total", "17163091968\n");
  for (const char* name : {"nvidiactl", "nvidia-uvm", "nvidia", "nvidia0x"})
    folder.Write(Cat("dev/", name), "");
  EXPECT_FALSE(measured().amd);
  EXPECT_EQ(measured().amd_vram_gb, std::nullopt);
  EXPECT_EQ(measured().nvidia, 0);
  folder.Write("dev/kfd", "");
  HostFacts facts = measured();
  EXPECT_TRUE(facts.amd);
  EXPECT_NEAR(facts.amd_vram_gb.value_or(0), 17.163, 0.001);
  EXPECT_THAT(WriteCanonical(ComposeCapabilities(facts, {}, nullptr, {}, "")),
              HasSubstr("\"gpus_observed\":{\"amd\":true,\"nvidia\":0}"));
  // The first card may be another maker's.
  folder.Write("sys/class/drm/card0/device/mem_info_vram_total", "");
  folder.Write("sys/class/drm/card1/device/mem_info_vram_total", "8589934592\n");
  EXPECT_NEAR(measured().amd_vram_gb.value_or(0), 8.59, 0.01);
  folder.Write("dev/nvidia0", "");
  folder.Write("dev/nvidia12", "");
  EXPECT_EQ(measured().nvidia, 2);
  // There, but not for this user.
  if (geteuid() != 0) {
    ASSERT_EQ(chmod((folder.path() + "/dev/kfd").c_str(), 0), 0);
    EXPECT_FALSE(measured().amd);
  }
  ASSERT_EQ(unlink((folder.path() + "/dev/kfd").c_str()), 0);
  EXPECT_FALSE(measured().amd);
}

TEST(Capabilities, OmitRules) {
  Config config;
  HostFacts facts;
  facts.arch = "x86_64";
  EXPECT_EQ(WriteCanonical(ComposeCapabilities(facts, config, nullptr, {}, "")),
            "{\"arch\":\"x86_64\",\"cpu_count\":null,\"execute_tenant_code\":\"synthetic\",\"gpus_"
            "observed\":{\"amd\":false,\"nvidia\":0},"
            "\"os\":\"linux\",\"ram_total_gb\":null,\"sandbox_policy\":\"strict\",\"worker_"
            "features\":[]}");
  facts.ram_total_gb = 15.678;
  facts.ram_available_gb = 3.14159;
  facts.cpu_count = 8;
  facts.models = {{"tiny", 12}};
  config.auto_acquire = true;  // a wish that this release cannot fulfil, so nothing is announced
  config.max_ram_gb = 4;
  config.gpus_amd = true;
  config.use_bubblewrap = false;
  ThermalReading reading{ThermalState::kWarm, 71.26, 2};
  const JsonValue full = ComposeCapabilities(facts, config, &reading, {70, 82, 68}, "0.1.0");
  EXPECT_EQ(full.Find("auto_acquire"), nullptr);
  EXPECT_EQ(WriteCanonical(*full.Find("ram_total_gb")), "15.68");
  EXPECT_EQ(WriteCanonical(*full.Find("usable_memory_gb")), "15.178");
  EXPECT_EQ(WriteCanonical(*full.Find("available_memory_gb")), "3.14");
  EXPECT_EQ(WriteCanonical(*full.Find("declared_caps")), "{\"max_ram_gb\":4.0}");
  EXPECT_EQ(WriteCanonical(*full.Find("gpus_declared")), "{\"amd\":true}");
  EXPECT_EQ(WriteCanonical(*full.Find("models")), "[\"tiny\"]");
  EXPECT_EQ(WriteCanonical(*full.Find("model_sizes")), "{\"tiny\":12}");
  EXPECT_EQ(*full.FindString("sandbox_policy"), "permissive");
  EXPECT_EQ(WriteCanonical(*full.Find("thermal")),
            "{\"current_temp_c\":71.3,\"max_temp_c\":82.0,\"state\":\"warm\",\"zone_count\":2}");
  config.execution_policy = ExecutionPolicy::kProvisioned;
  EXPECT_EQ(ComposeCapabilities(facts, config, nullptr, {}, "").Find("auto_acquire"), nullptr);
  facts.nvidia = 1;
  EXPECT_EQ(ComposeCapabilities(facts, config, nullptr, {}, "").Find("usable_memory_gb"), nullptr);
  facts.nvidia = 0;
  facts.unified_memory = true;
  facts.ram_total_gb = 2;
  EXPECT_EQ(
      WriteCanonical(*ComposeCapabilities(facts, config, nullptr, {}, "").Find("usable_memory_gb")),
      "0.0");
}

TEST(Capabilities, MeasuresAHost) {
  ScratchFolder root;
  root.Write("proc/meminfo",
             "MemTotal:       16777216 kB\nMemFree: 1 kB\nMemAvailable:    8388608 kB\n");
  root.Write("dev/nvidia0", "");
  root.Write("dev/nvidia1", "");
  root.Write("dev/nvidiactl", "");
  root.Write("models/good-model/a.gguf", "12345");
  root.Write("models/empty/sub/x", "1");
  root.Write("models/half.partial/a.gguf", "1");
  root.Write("models/.hidden/a", "1");
  const HostFacts facts = MeasureHost(root.path(), Cat(root.path(), "/models"));
  EXPECT_EQ(facts.ram_total_gb, 16.0);
  EXPECT_EQ(facts.ram_available_gb, 8.0);
  EXPECT_EQ(facts.nvidia, 2);
  EXPECT_FALSE(facts.amd);
  EXPECT_EQ(facts.models, (std::map<std::string, uint64_t>{{"good-model", 5}}));
}

}  // namespace
}  // namespace auspex::runnerd
