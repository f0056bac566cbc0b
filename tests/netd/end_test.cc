// SPDX-License-Identifier: AGPL-3.0-only
// How the real netd begins and ends: what refuses it, bounded runs, and what a stop lets come to its
// end (wire protocol 9.8).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <future>
#include <thread>

#include "tests/netd/netd_process.h"

namespace auspex::testing {
namespace {

TEST(Start, RefusesAConfigurationThatCannotBeUsed) {
  for (const char* url :
       {"http://192.0.2.1", "ftp://x", "https://user:pw@host", "https://host/?q"}) {
    NetdLab lab([](const MockRequest&, MockWire&) {});
    lab.Configure(std::string("[coordinator]\nurl = \"") + url + "\"\n");
    lab.Start();
    EXPECT_EQ(lab.netd->Wait(), 2) << url;
  }
  NetdLab lab([](const MockRequest&, MockWire&) {});
  lab.Start({"--max-ticks", "0"});
  EXPECT_EQ(lab.netd->Wait(), 2);
}

// The coordinator hands a unit out with its answer. One that nobody heard would be this worker's
// again only after the coordinator's lease.
TEST(End, AUnitThatComesWhileNetdStopsReachesStated) {
  std::promise<pid_t> started;
  auto netd = started.get_future().share();
  NetdLab lab(Polls([netd](int n, const MockRequest&, MockWire& wire) {
    if (n == 1) {
      // So slow a coordinator is waited for as long as any is.
      std::this_thread::sleep_for(std::chrono::milliseconds(600));
      return ReplyNoWork(wire);
    }
    // The stop comes while the answer is on its way.
    kill(netd.get(), SIGTERM);
    std::this_thread::sleep_for(std::chrono::milliseconds(700));
    ReplyUnit(wire, "asg-late", "u-late");
  }));
  lab.Configure("[coordinator]\nurl = \"" + lab.server.url() +
                "\"\nassignment_poll_interval_seconds = 0.05\n");
  started.set_value(lab.Start().pid());
  EXPECT_EQ(lab.netd->Wait(), 0) << lab.netd->Log();
  ASSERT_EQ(lab.stated->offers.size(), 1u) << lab.netd->Log();
  EXPECT_EQ(lab.stated->offers[0].assignment_id(), "asg-late");
  EXPECT_EQ(lab.server.Count(kPoll), 2) << "and no other is asked for";
}

// Nor is it cut off from stated, however long its poll had been held.
TEST(End, AUnitThatCameBeforeNetdStopsIsTakenByStated) {
  NetdLab lab(Polls([](int n, const MockRequest&, MockWire& wire) {
    if (n > 1) return wire.WaitForClose();
    std::this_thread::sleep_for(std::chrono::milliseconds(1200));
    ReplyUnit(wire, "asg-held", "u-held");
  }));
  lab.Configure("[coordinator]\nurl = \"" + lab.server.url() + "\"\nlong_poll_seconds = 7\n");
  std::promise<pid_t> started;
  lab.stated->SetOfferAnswer([&started](const stated::v1::OfferRequest&) {
    kill(started.get_future().get(), SIGTERM);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    stated::v1::OfferResponse accepted;
    accepted.set_decision("accepted");
    return accepted;
  });
  started.set_value(lab.Start().pid());
  EXPECT_EQ(lab.netd->Wait(), 0) << lab.netd->Log();
  EXPECT_THAT(lab.netd->Log(), ::testing::ContainsRegex("event=offer .*decision=accepted"));
}

TEST(End, ABoundedRunEndsByItselfWithASummary) {
  NetdLab lab(Polls([](int, const MockRequest&, MockWire& wire) { ReplyNoWork(wire); }));
  lab.Start({"--max-ticks", "3"});
  EXPECT_EQ(lab.netd->Wait(), 0);
  EXPECT_EQ(lab.server.Count(kBeat), 3);
  EXPECT_EQ(lab.server.Count(kPoll), 3);
  EXPECT_NE(lab.netd->Log().find("heartbeats: 3 attempted, 3 succeeded, 0 failed; polls: 3 "
                                 "attempted, 3 succeeded, 0 failed; work: 0 accepted, 0 refused, "
                                 "3 without work"),
            std::string::npos)
      << lab.netd->Log();
}

TEST(End, NoPollOfABoundedRunWaits) {
  NetdLab lab(Polls([](int, const MockRequest& request, MockWire& wire) {
    EXPECT_FALSE(request.headers.contains("prefer"));
    ReplyNoWork(wire);
  }));
  lab.Configure("[coordinator]\nurl = \"" + lab.server.url() +
                "\"\nheartbeat_interval_seconds = 0.05\nassignment_poll_interval_seconds = "
                "0.05\nlong_poll_seconds = 7\n");
  lab.Start({"--max-ticks", "2"});
  EXPECT_EQ(lab.netd->Wait(), 0);
  EXPECT_EQ(lab.server.Count(kPoll), 2);
}

TEST(End, ABoundedRunWaitsForItsUnits) {
  NetdLab lab(
      Polls([](int, const MockRequest&, MockWire& wire) { ReplyUnit(wire, "asg-1", "u-1"); }));
  lab.stated->SetOfferAnswer([](const auto&) {
    stated::v1::OfferResponse response;
    response.set_decision("accepted");
    return response;
  });
  lab.stated->SetDemand([](auto& demand) { demand.set_in_hand(1); });
  lab.Start({"--max-ticks", "1"});
  ASSERT_TRUE(lab.stated->Wait([](const FakeStated& s) { return s.offers.size() == 1; }));
  ASSERT_TRUE(lab.server.WaitFor(kBeat, 1));
  EXPECT_EQ(::kill(lab.netd->pid(), 0), 0);
  lab.stated->SetDemand([](auto& demand) { demand.set_in_hand(0); });
  EXPECT_EQ(lab.netd->Wait(), 0);
}

TEST(End, ABoundedRunOfAPausedWorkerEnds) {
  NetdLab lab(Polls([](int, const MockRequest&, MockWire& wire) { ReplyNoWork(wire); }));
  lab.stated->SetDemand([](auto& demand) {
    demand.set_free_slots(0);
    demand.set_reason("self_paused");
  });
  lab.Start({"--max-ticks", "2"});
  EXPECT_EQ(lab.netd->Wait(), 0);
  EXPECT_EQ(lab.server.Count(kPoll), 0);
}

TEST(End, ABoundedRunThatOnlyFailsExitsWithOne) {
  NetdLab lab([](const MockRequest&, MockWire& wire) { wire.Reply(500, "Internal Server Error"); });
  lab.Start({"--max-ticks", "1"});
  EXPECT_EQ(lab.netd->Wait(), 1);
}

}  // namespace
}  // namespace auspex::testing
