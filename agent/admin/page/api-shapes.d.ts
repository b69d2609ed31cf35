// What the operator API answers, as far as the page reads it (docs/api.md has all of it). Only types: the page's
// modules are checked against them, nothing of this reaches a browser. `?` marks what an older agent leaves out.

export interface SignalView {
  readonly signal: string;
  readonly rule: string;
  readonly unit?: string;
  readonly failures: number;
  readonly trials: number;
  readonly limit: number | null;
  readonly allowed?: { readonly ratio: number; readonly points: number } | null;
  readonly baseline?: { readonly failures: number; readonly trials: number } | null;
  readonly evidence_log10: number | null;
  readonly threshold_log10: number;
  readonly rate?: IntervalView | null;
  readonly ratio?: IntervalView | null;
  readonly unmeasured?: string | null;
  readonly segments?: readonly SegmentView[];
}

export interface IntervalView {
  readonly low: number;
  readonly high: number | null;
}

export interface SegmentView {
  readonly segment: string;
  readonly failures: number;
  readonly trials: number;
  readonly evidence_log10: number;
  readonly threshold_log10: number;
  readonly share_of_fleet: number;
}

export interface ReleaseView {
  readonly version: string;
  readonly first_seen: string | null;
  readonly last_report: string | null;
  readonly devices: Readonly<Record<string, number>>;
  readonly hours: { readonly active: number; readonly crashed: number; readonly not_responding: number };
  readonly verdict: {
    readonly kind: string;
    readonly reason: string;
    readonly sentence: string;
    readonly baseline?: readonly string[];
    readonly share_of_fleet?: number;
    readonly signals: readonly SignalView[];
  };
  readonly condemned: boolean;
  readonly decision_id: string | null;
  readonly hold: {
    readonly reason: string;
    readonly guard: string;
    readonly sentence: string;
    readonly since: string;
  } | null;
}

export interface FreezeView {
  readonly id: string;
  readonly scope: "all" | { readonly app: string; readonly channel: string };
  readonly by: string;
  readonly reason: string;
  readonly since: string;
  readonly until: string | null;
}

export interface ChannelView {
  readonly app: string;
  readonly channel: string;
  readonly policy: string;
  readonly mode: string;
  readonly action?: string;
  readonly current_version: string | null;
  readonly releases: readonly ReleaseView[];
  readonly releases_on_server?: readonly { readonly version: string; readonly released_at: string | null }[];
  readonly paused?: unknown;
  readonly freezes?: readonly FreezeView[];
}

export interface StatusView {
  readonly at: string;
  readonly channels: readonly ChannelView[];
  readonly freezes?: readonly FreezeView[];
}

export interface ApprovalView {
  readonly expires_at: string | null;
  readonly answered_at?: string | null;
  readonly answered_by?: string | null;
  readonly answer?: string | null;
}

export interface FollowUpView {
  readonly kind: string;
  readonly at: string;
  readonly detail: string;
  readonly running_at_act: number | null;
  readonly running_now: number | null;
}

export interface DecisionView {
  readonly id: string;
  readonly at: string;
  readonly app: string;
  readonly channel: string;
  readonly version: string;
  readonly target: string | null;
  readonly action?: string;
  readonly mode: string;
  readonly reason: string;
  readonly sentence: string;
  readonly evidence?: {
    readonly signals: readonly SignalView[];
    readonly devices: Readonly<Record<string, number>>;
  } | null;
  readonly last_needed_report_at?: string | null;
  readonly outcome: {
    readonly kind: string;
    readonly at: string;
    readonly detail: string;
    readonly version_seen: string | null;
    readonly attempts: number;
  } | null;
  readonly approval?: ApprovalView | null;
  readonly follow_up?: FollowUpView | null;
  readonly operator?: string | null;
  readonly cause?: string;
}

export interface WarningView {
  readonly guard: string;
  readonly reason: string;
  readonly sentence: string;
}

export interface TargetsView {
  readonly current: string | null;
  readonly targets: readonly {
    readonly version: string;
    readonly released_at: string | null;
    readonly warnings: readonly WarningView[];
  }[];
}

/** Devices by outcome; zeros may be left out. */
export type CountsView = Readonly<Record<string, number>>;

export interface HoursView {
  readonly active: number;
  readonly crashed: number;
  readonly not_responding: number;
}

export interface ScopeStepView {
  readonly start: string;
  readonly devices: CountsView;
  readonly hours: HoursView;
}

export interface ExamplesView {
  readonly named_by: string;
  readonly of: number;
  readonly devices: readonly string[];
}

export interface ScopeView {
  readonly at: string;
  readonly devices: CountsView;
  readonly hours: HoursView;
  readonly channels: readonly { readonly last_failure: string | null }[];
  /** The worst first. */
  readonly strata: readonly {
    readonly stratum: Readonly<Record<string, string>> | string;
    readonly devices: CountsView;
  }[];
  readonly step_minutes: number;
  readonly time: readonly ScopeStepView[];
  /** By outcome; null for a viewer. */
  readonly examples: Readonly<Record<string, ExamplesView>> | null;
}

export interface ReleaseName {
  readonly app: string;
  readonly channel: string;
  readonly version: string;
}

/** `seen`: the last answer, shown until there is a new one. */
export type ScopeState =
  | { readonly kind: "closed"; readonly seen: null }
  | { readonly kind: "asking"; readonly seen: ScopeView | null }
  | { readonly kind: "seen"; readonly seen: ScopeView }
  | { readonly kind: "failed"; readonly seen: ScopeView | null; readonly told: string };

export interface Scopes {
  of(name: ReleaseName): ScopeState;
  isOpen(name: ReleaseName): boolean;
  /** Opened for the first time, it is asked for. */
  toggle(name: ReleaseName, isOpen: boolean): void;
  lookAgain(name: ReleaseName): void;
  /** Whoever signs in next may see less. */
  forget(): void;
  /** Asks again for what was forgotten and stands open. */
  resume(): void;
}

export interface CallerView {
  readonly name: string;
  readonly role: "viewer" | "operator" | "admin";
  /** `local`: no operators are configured, and there is nothing to sign out of. */
  readonly via?: "token" | "session" | "local";
}

/** How the last question to the agent ended. `sinceMs`: by this machine's clock. */
export type Link =
  | { readonly kind: "asking" }
  | { readonly kind: "answers" }
  | { readonly kind: "login" }
  | {
      readonly kind: "agent_away" | "redis_away" | "refuses";
      readonly sinceMs: number;
      readonly detail: string;
    };

export type Answer =
  | { readonly kind: "ok"; readonly body: unknown }
  | {
      readonly kind: "refused";
      readonly status: number;
      readonly code: string;
      readonly detail: string;
      readonly warnings: readonly WarningView[];
    }
  | { readonly kind: "away"; readonly detail: string };

/** Everything that is drawn. */
export interface PageState {
  readonly status: StatusView | null;
  readonly decisions: readonly DecisionView[];
  readonly freezes: readonly FreezeView[];
  readonly caller: CallerView | null;
  readonly link: Link;
  readonly decisionsShown: number;
}

/** An act as the dialog shows it; `kind` says what it takes. */
export type Act =
  | { readonly kind: "approve" | "reject"; readonly decision: DecisionView }
  | { readonly kind: "rollback" | "pause"; readonly channel: ChannelView }
  | { readonly kind: "freeze"; readonly channel: ChannelView | null }
  | { readonly kind: "unfreeze"; readonly freeze: FreezeView }
  | { readonly kind: "absolve"; readonly channel: ChannelView; readonly version: string };

export type Begin = (act: Act) => void;

/** What views need to draw, beside their data. */
export interface Drawing {
  readonly nowMs: number;
  readonly begin: Begin;
  /** Why nothing can be done now, for the button's explanation; null = it can. */
  readonly blocked: string | null;
  /** Whether the caller's role lets them act at all. */
  readonly mayAct: boolean;
  readonly scopes: Scopes;
  /** Says in passing what was done. */
  readonly tell: (text: string) => void;
}
