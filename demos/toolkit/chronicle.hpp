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
    };
    std::size_t lane = 0;
    std::size_t first = 0; ///< indices of moments
    std::size_t last = 0;
    Kind kind = Kind::trusts;
};

/// What several processes did once, told in order: for the time line in the terminal and for the
/// pictures.
struct Chronicle {
    std::string title;
    std::vector<std::string> lanes;
    std::string state_title; ///< "": there is no number to follow
    std::vector<Moment> moments;
    std::vector<Stretch> stretches;
    std::string verdict; ///< one sentence
    bool went_wrong = false;

    /// Gives each moment the shape that fits the stretches.
    void shape_moments();
};

/// How a demo calls what its processes touch.
struct Names {
    /// By TraceEvent::object. One of marks and computations is the whole text, "{}" in it the
    /// value; one that begins with "!" tells of something that went wrong.
    std::vector<std::string> objects;
    std::string state_title = {};
    int tracked = -1; ///< the object whose value is shown in the last column
    std::string acquire = "acquire";
    std::string release = "release";
};

/// What a trace's lanes tell, in the order of time.
[[nodiscard]] Chronicle chronicle_of(const multifork::lab::Trace& trace,
                                     std::vector<std::string> lanes, const Names& names);

/// One more moment at the end: this process has not come further, which is wrong.
void add_ending(Chronicle& chronicle, std::size_t lane, const std::string& text);

/// The time line in the terminal, and the verdict below it.
void tell(const Chronicle& chronicle);

} // namespace demo
