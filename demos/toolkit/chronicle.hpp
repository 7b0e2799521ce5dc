#pragma once

#include "toolkit/timeline.hpp"

#include <multifork/lab/trace.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace demo {

/// A time in a process's life that lasted: from one moment to another of the same lane.
struct Stretch {
    enum class Kind {
        trusts, ///< has loaded a number, and will store what follows from it
        waits,
        holds, ///< a lock or a permit
        runs,  ///< from its first step to its last
    };
    static constexpr std::size_t never = static_cast<std::size_t>(-1);

    std::size_t lane = 0;
    std::size_t first = 0; ///< indices of moments
    std::size_t last = 0;  ///< or `never`: to the end of the picture
    Kind kind = Kind::trusts;
};

/// One process gave back what another waited for. Both are indices of moments.
struct HandOver {
    std::size_t from = 0;
    std::size_t to = 0;
};

/// What several processes did once, told in order: for the time line in the terminal and for the
/// pictures.
struct Chronicle {
    std::string title;
    std::vector<std::string> lanes;
    std::string state_title; ///< "": there is no number to follow
    std::vector<Moment> moments;
    std::vector<Stretch> stretches;
    std::vector<HandOver> hand_overs;
    std::vector<Stretch> kept; ///< what was taken and not given back: see add_ending()
    std::string verdict;       ///< one sentence
    bool went_wrong = false;
    /// Above 0: pictures draw times to scale, with so many ns to a row.
    double ns_per_row = 0;

    /// Gives each moment the shape that fits the stretches.
    void shape_moments();
};

/// How a demo calls what its processes touch.
struct Names {
    /// By TraceEvent::object. One of marks and computations is the whole text, "{}" in it the
    /// value; one that begins with "!" tells of something that went wrong. A mark of that kind that
    /// took time is the end of waiting for the object that is its value.
    std::vector<std::string> objects;
    std::string state_title = {};
    int tracked = -1; ///< the object whose value is shown in the last column
    std::string acquire = "acquire";
    std::string release = "release";

    [[nodiscard]] std::string of(std::int64_t object) const {
        const auto at = static_cast<std::size_t>(object);
        return at < objects.size() ? objects[at] : "";
    }
};

/// What a trace's lanes tell, in the order of time.
[[nodiscard]] Chronicle chronicle_of(const multifork::lab::Trace& trace,
                                     std::vector<std::string> lanes, const Names& names);

/// One more moment at the end: this process has not come further, which is wrong. What it holds it
/// keeps for ever.
void add_ending(Chronicle& chronicle, std::size_t lane, const std::string& text);

/// The time line in the terminal, and the verdict below it.
void tell(const Chronicle& chronicle);

} // namespace demo
