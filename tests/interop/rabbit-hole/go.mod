// Names the version of the client whose own tests are run; the tests' dependencies are pinned by its own go.mod and go.sum.
module interop/rabbit-hole

go 1.24

require github.com/michaelklishin/rabbit-hole/v2 v2.12.0
