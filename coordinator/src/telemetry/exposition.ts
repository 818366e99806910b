import type { HistogramSnapshot } from "@espalier/shared/contracts/telemetry";

export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  labels: Labels;
  value: number;
}

/**
 * Writes Prometheus' text format (version 0.0.4). Our own since the histograms are sums of the devices' histograms,
 * which client libraries can't take in. Families without samples are left out.
 */
export class Exposition {
  readonly #lines: string[] = [];

  counter(name: string, help: string, samples: readonly Sample[]): this {
    return this.#family(name, help, "counter", samples);
  }

  gauge(name: string, help: string, samples: readonly Sample[]): this {
    return this.#family(name, help, "gauge", samples);
  }

  /** `counts` are cumulative; the last is of all observations. */
  histogram(
    name: string,
    help: string,
    bounds: readonly number[],
    series: readonly { labels: Labels; histogram: HistogramSnapshot }[],
  ): this {
    if (series.length === 0) return this;
    this.#head(name, help, "histogram");
    for (const { labels, histogram } of series) {
      for (const [index, count] of histogram.counts.entries()) {
        const le = bounds[index] === undefined ? "+Inf" : String(bounds[index]);
        this.#line(`${name}_bucket`, { ...labels, le }, count);
      }
      this.#line(`${name}_sum`, labels, histogram.sumSeconds);
      this.#line(`${name}_count`, labels, histogram.counts.at(-1) ?? 0);
    }
    return this;
  }

  text(): string {
    return `${this.#lines.join("\n")}\n`;
  }

  #family(name: string, help: string, type: string, samples: readonly Sample[]): this {
    if (samples.length === 0) return this;
    this.#head(name, help, type);
    for (const { labels, value } of samples) this.#line(name, labels, value);
    return this;
  }

  #head(name: string, help: string, type: string): void {
    this.#lines.push(`# HELP ${name} ${help.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")}`, `# TYPE ${name} ${type}`);
  }

  #line(name: string, labels: Labels, value: number): void {
    const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escapeLabel(text)}"`);
    this.#lines.push(`${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}`);
  }
}

export const expositionType = "text/plain; version=0.0.4; charset=utf-8";

function escapeLabel(text: string): string {
  return text.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
}
