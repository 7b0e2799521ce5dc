#include "crash/harness/pair.hpp"

#include <multifork/arena/space.hpp>

#include <algorithm>
#include <exception>
#include <limits>
#include <map>

#include <sys/mman.h>

namespace multifork::test::crash {

std::uint64_t PairRound::b_ends(std::string_view otherwise) {
    require(b_->finish(), otherwise);
    return *result_;
}

Place PairRound::b_rests() {
    return b_->come_to_rest();
}

struct PairCampaign {
    const Pair& pair;
    const Density& density;
    Report& report;
    std::uint64_t* result; // shared with B
    unsigned long b_length = 0;
    Path first_path = {};
    // What the second one does depends on where the first one stands, though seldom on the very
    // instruction.
    std::map<unsigned long, Path> second_paths = {};

    void kill_at(unsigned long k, unsigned long j) {
        // Who went another way than before does so once more, by single steps, which learn it.
        for (int i = 0; i < 3 && round(k, j); ++i)
            ++report.strayed;
    }

    [[nodiscard]] unsigned long first_place(unsigned long k, unsigned long j) const {
        return pair.order == Pair::Order::a_first ? k : j;
    }

    /// \return whether one of the two took another way than before
    bool round(unsigned long k, unsigned long j) {
        stay_on_one_core();
        arena::tree_space().sweep();
        pair.set_up();
        *result = 0;
        bool strayed = false;
        try {
            Victim b(pair.prepare_b, [this] { *result = pair.b(); });
            Victim a(pair.prepare_a, pair.a);
            if (pair.all_forked)
                pair.all_forked();
            constexpr unsigned long about_the_same_place = 32;
            Path& second_path = second_paths[first_place(k, j) / about_the_same_place];
            const auto go = [&](Victim& victim, unsigned long count, Path& path) {
                if (victim.go(count, path))
                    return;
                path = {};
                strayed = true;
            };
            if (pair.order == Pair::Order::a_first)
                go(a, k, first_path);
            go(b, j, pair.order == Pair::Order::a_first ? second_path : first_path);
            if (pair.order == Pair::Order::b_first)
                go(a, k, second_path);
            report.instructions = std::max(report.instructions, a.steps());
            b_length = std::max(b_length, b.steps());
            PairRound seen;
            seen.b_ = &b;
            seen.result_ = result;
            seen.a_finished_ = a.place() == Place::finished;
            if (!pair.b_before_the_kill || !seen.a_finished_)
                a.kill();
            pair.check(seen);
        } catch (const Failure& failure) {
            failed(k, j, failure.what());
        } catch (const std::exception& error) {
            failed(k, j, std::string("an exception reached the survivor: ") + error.what());
        }
        ++report.kills;
        return strayed;
    }

    void failed(unsigned long k, unsigned long j, const std::string& what) {
        std::string text =
            report.name + ", k=" + std::to_string(k) + ", j=" + std::to_string(j) + ": " + what;
        if (pair.state)
            text += " | " + pair.state();
        report.failures.push_back(text);
    }

    [[nodiscard]] bool enough() const {
        return report.failures.size() >= density.stop_after_failures;
    }

    void run() {
        constexpr unsigned long to_the_end = std::numeric_limits<unsigned long>::max();
        for (int i = 0; i < 2; ++i) { // the second time behind deaths, as in all other rounds
            kill_at(to_the_end, 0);   // measures A
            kill_at(0, to_the_end);   // measures B, which may fall asleep early behind A
        }
        const unsigned long places = density.partner_places;
        const unsigned long j_stride = places == 0 ? 1 : std::max(1UL, b_length / places);
        // Shifted by one each time, so that the places differ from row to row.
        unsigned long row = seeded(j_stride);
        for (const unsigned long k : places_in(report.instructions, density.kills))
            for (unsigned long j = row++ % j_stride; j <= b_length && !enough(); j += j_stride)
                kill_at(k, j);
    }
};

Report run(const Pair& pair, const Density& density) {
    void* const page = ::mmap(nullptr, sizeof(std::uint64_t), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    require(page != MAP_FAILED, "no page for a result");
    Report report;
    report.name = pair.name + (pair.order == Pair::Order::a_first ? ", A first" : ", B first");
    const std::int64_t begin = now_ns();
    PairCampaign campaign{pair, density, report, static_cast<std::uint64_t*>(page)};
    campaign.run();
    report.seconds = static_cast<double>(now_ns() - begin) / 1e9;
    ::munmap(page, sizeof(std::uint64_t));
    return report;
}

} // namespace multifork::test::crash
