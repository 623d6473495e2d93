# A Sonic Pi whose wall clock can be set: Time.now is off by what a file says, in ns. Loaded by RUBYOPT.
module SetClock
  FILE = File.open(ENV["SETCLOCK_FILE"], "rb")

  def self.offset
    Rational(FILE.pread(8, 0).unpack1("q<"), 1_000_000_000)
  end
end

class Time
  class << self
    alias_method :true_now, :now

    def now(...)
      true_now(...) + SetClock.offset
    end
  end
end
